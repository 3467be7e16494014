/** Where control groups can be made. */
export interface GroupProbe {
  readonly v2?: { readonly path: string; readonly limits: readonly string[] };
  readonly v1: Readonly<Partial<Record<"freezer" | "pids" | "memory" | "cpu" | "cpuacct", string>>>;
}
/** The groups of one dyno. */
export interface Groups {
  readonly v2?: string;
  readonly v1: GroupProbe["v1"];
}
/** What holds the processes of one dyno together. */
export interface Containment {
  readonly groups: Groups;
  readonly root: number;
  readonly rootStart?: string;
  readonly init?: number;
}
export declare function probeGroups(name?: string): GroupProbe;
export declare function groupPaths(groups: Groups): string[];
export declare function pidsOf(containment: Containment): number[];
export declare function killAll(
  containment: Containment,
  options?: { readonly timeoutMs?: number },
): Promise<boolean>;
export declare function isEmpty(containment: Containment): boolean;
export declare function removeGroups(groups: Groups): Promise<void>;
