/** Ways into the router. */
export type InputName = "http" | "syslog" | "udp" | "process";

/** Why messages did not come in; a fixed set, so that series stay few. */
export type RejectReason =
  | "malformed"
  | "unknown_token"
  | "budget"
  | "too_large"
  | "unauthorized"
  | "duplicate";

/** Plain sums; the metrics page reads them (spec/logplex.md §14). */
export class Counters {
  readonly messages: Record<InputName, number> = { http: 0, syslog: 0, udp: 0, process: 0 };
  readonly bytes: Record<InputName, number> = { http: 0, syslog: 0, udp: 0, process: 0 };
  readonly rejected: Record<RejectReason, number> = {
    malformed: 0,
    unknown_token: 0,
    budget: 0,
    too_large: 0,
    unauthorized: 0,
    duplicate: 0,
  };
  tailLost = 0;

  /** Counts what an input took in. */
  accept(input: InputName, messages: number, bytes: number): void {
    this.messages[input] += messages;
    this.bytes[input] += bytes;
  }
}
