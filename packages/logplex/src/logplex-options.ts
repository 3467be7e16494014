import type { Clock, RandomBytes } from "./clock.ts";
import type {
  DrainEvent,
  DrainOptions,
  AddDrainOptions as DrainSetAddOptions,
  DrainSetOptions,
} from "./drain/index.ts";
import type { Budget, RouterBudget } from "./input/budget.ts";
import type { HttpListenOptions } from "./input/http-listener.ts";
import type { SyslogListenOptions } from "./input/syslog-listener.ts";
import type { UdpListenOptions } from "./input/udp-listener.ts";
import type { AuditEntry, Switches } from "./manage/control-rods.ts";
import type { Retention } from "./ring/ring.ts";
import type { LogBuffer } from "./spool/buffer.ts";

/** Options of {@link Logplex}. */
export interface LogplexOptions {
  /** How long each channel keeps messages; default 1,500 lines, 7 days, 4 MiB, whichever is less. */
  readonly retention?: Partial<Retention> | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: RandomBytes | undefined;
  /** Key that signs session URLs, 32 bytes; give one to share sessions between nodes. Default: random. */
  readonly sessionKey?: Uint8Array | undefined;
  /** Pause between keep-alives of an open session; default 15,000 ms. */
  readonly keepAliveMs?: number | undefined;
  readonly limits?: LogplexLimits | undefined;
  /**
   * Keeps messages beyond memory, as `diskBuffer(directory)`, `redisBuffer(client)` and
   * `natsBuffer(connection)` do. It is closed with the router. Default: memory alone.
   */
  readonly buffer?: LogBuffer | undefined;
  /**
   * When writes settle. `memory`: at once; `local`: when the buffer has them safe; `quorum`: when
   * its replicas have them too. Default `quorum` where the buffer offers it, else `local`.
   */
  readonly durability?: "memory" | "local" | "quorum" | undefined;
  /** Personal data that no channel may store or deliver; see {@link ChannelSettings.redact}. */
  readonly redact?: string | undefined;
  /** What operators decide about drains. */
  readonly drains?: LogplexDrainOptions | undefined;
  /** What one token may write; `false` for no limit. Default 10,000 lines/s and 5 MiB/s. */
  readonly budget?: Partial<Budget> | false | undefined;
  /** What may come in over all inputs but this process; default: no limit. */
  readonly routerBudget?: RouterBudget | undefined;
  /** How the switches of the operator stand at first; default: all on. */
  readonly switches?: Partial<Switches> | undefined;
  /** Told of each entry of the audit trail as it is made, for those who keep it for good. */
  readonly onAudit?: ((entry: AuditEntry) => void) | undefined;
}

/** How drains behave in this process. */
export interface LogplexDrainOptions
  extends Pick<
    DrainSetOptions,
    | "policy"
    | "store"
    | "spool"
    | "kinds"
    | "resolve"
    | "maxPerChannel"
    | "userAgent"
    | "timeouts"
    | "random"
  > {
  readonly onState?: (event: DrainEvent) => void;
}

/** Options of {@link Logplex.addDrain}; `query` is another name of `filter`. */
export interface AddDrainOptions extends DrainSetAddOptions {
  /** LQ text; only messages that match are delivered. */
  readonly query?: string | undefined;
}

/** Options of {@link Logplex.updateDrain}. */
export interface UpdateDrainOptions {
  readonly url?: string;
  /** Replaces all options. */
  readonly options?: DrainOptions & { readonly query?: string | undefined };
}

/** Upper bounds. */
export interface LogplexLimits {
  /** Default 100,000. */
  readonly channels?: number;
  /** Default 50. */
  readonly tailsPerChannel?: number;
}

/** What {@link Logplex.listen} opens. */
export interface ListenOptions {
  /** Inputs and sessions over HTTP. */
  readonly http?: HttpListenOptions | undefined;
  /** Syslog over TCP, or over TLS when `tls` is given; several listeners may be given. */
  readonly syslog?: SyslogListenOptions | readonly SyslogListenOptions[] | undefined;
  /** Syslog over UDP. */
  readonly udp?: UdpListenOptions | undefined;
}

/** Where a listener accepts. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What {@link Logplex.listen} opened. */
export interface ListenResult {
  readonly http?: ListenAddress;
  /** The first syslog listener. */
  readonly syslog?: ListenAddress;
  /** All syslog listeners in the order given. */
  readonly syslogs: readonly ListenAddress[];
  readonly udp?: ListenAddress;
}
