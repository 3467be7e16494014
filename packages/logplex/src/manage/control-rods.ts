import type { Clock } from "../clock.ts";

/** Switches of an operator, read at every request (spec/logplex.md §6). */
export interface Switches {
  /** Inputs take messages. */
  ingress: boolean;
  /** History is kept. */
  history: boolean;
  /** Tails may be opened; turned off, it also ends those that are open. */
  tails: boolean;
  /** URLs of sessions are answered. */
  sessions: boolean;
  /** The firehose may be opened; turned off, it also ends those that are open. */
  firehose: boolean;
  /** Drains send. */
  drains: boolean;
  /** The management API answers; its switches always do. */
  api: boolean;
  /** The management API changes things; otherwise it only shows them. */
  apiWrites: boolean;
  /** The page of metrics is served. */
  metrics: boolean;
}

/** One change of a switch, for the audit trail. */
export interface SwitchChange {
  /** ms since the epoch. */
  readonly at: number;
  readonly name: keyof Switches;
  readonly on: boolean;
  readonly by: string;
}

/** All tails were ended at a time, for the audit trail. */
export interface TailsKilled {
  /** ms since the epoch. */
  readonly at: number;
  readonly name: "killTails";
  /** How many there were. */
  readonly ended: number;
  readonly by: string;
}

/** What an operator did. */
export type AuditEntry = SwitchChange | TailsKilled;

const MAX_AUDIT = 1000;

/** State of the switches and who turned them. */
export class ControlRods {
  /** Read by whatever can be switched. */
  readonly switches: Readonly<Switches>;
  readonly #state: Switches = {
    ingress: true,
    history: true,
    tails: true,
    sessions: true,
    firehose: true,
    drains: true,
    api: true,
    apiWrites: true,
    metrics: true,
  };
  readonly #audit: AuditEntry[] = [];
  readonly #clock: Clock;
  readonly #onAudit: ((entry: AuditEntry) => void) | undefined;

  constructor(clock: Clock, onAudit: ((entry: AuditEntry) => void) | undefined) {
    this.#clock = clock;
    this.#onAudit = onAudit;
    this.switches = this.#state;
  }

  /** The last 1,000 entries, oldest first. */
  get audit(): readonly AuditEntry[] {
    return this.#audit;
  }

  /** False: the switch stood so already, and nothing is noted. */
  turn(name: keyof Switches, on: boolean, by: string): boolean {
    if (this.#state[name] === on) return false;
    this.#state[name] = on;
    this.#note({ at: this.#clock.now(), name, on, by });
    return true;
  }

  noteKill(ended: number, by: string): void {
    this.#note({ at: this.#clock.now(), name: "killTails", ended, by });
  }

  #note(entry: AuditEntry): void {
    if (this.#audit.length >= MAX_AUDIT) this.#audit.shift();
    this.#audit.push(entry);
    this.#onAudit?.(entry);
  }
}
