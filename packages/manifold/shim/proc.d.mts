export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly cpuTicks: number;
  readonly startTime: string;
}
export declare function readStat(pid: number): ProcessStat | undefined;
export declare function isAlive(pid: number, startTime: string | undefined): boolean;
export declare function bootId(): string;
export declare function listeningSockets(
  pid: number,
): { readonly host: string; readonly port: number; readonly inode: string }[];
export declare function socketInodes(pid: number): Set<string>;
