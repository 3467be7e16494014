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

/** Sums of one class of channels. */
export interface ClassSums {
  readonly messages: Record<InputName, number>;
  readonly bytes: Record<InputName, number>;
}

/** Class of a channel that was given none. */
export const DEFAULT_CLASS = "default";
/** Beyond so many classes the rest is summed, so that series stay few. */
const MAX_CLASSES = 20;

function noSums(): ClassSums {
  return {
    messages: { http: 0, syslog: 0, udp: 0, process: 0 },
    bytes: { http: 0, syslog: 0, udp: 0, process: 0 },
  };
}

/** Plain sums; the metrics page reads them (spec/logplex.md §14). */
export class Counters {
  /** What came in, by the class of its channel. */
  readonly classes = new Map([[DEFAULT_CLASS, noSums()]]);
  readonly rejected: Record<RejectReason, number> = {
    malformed: 0,
    unknown_token: 0,
    budget: 0,
    too_large: 0,
    unauthorized: 0,
    duplicate: 0,
  };
  tailLost = 0;

  /** Counts what an input took in for channels of a class. */
  accept(input: InputName, channelClass: string, messages: number, bytes: number): void {
    const sums = this.classes.get(channelClass) ?? this.#newClass(channelClass);
    sums.messages[input] += messages;
    sums.bytes[input] += bytes;
  }

  #newClass(wanted: string): ClassSums {
    const name = this.classes.size < MAX_CLASSES ? wanted : "other";
    let sums = this.classes.get(name);
    if (sums === undefined) {
      sums = noSums();
      this.classes.set(name, sums);
    }
    return sums;
  }
}
