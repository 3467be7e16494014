import type { ListenOptions } from "../listen/listen-options.ts";
import type { RouterSettings } from "../options.ts";
import type { CloseOptions } from "../router.ts";
import type { RouteMessage } from "../table/sync.ts";
import type { CertificatePair } from "../tls/certificate-store.ts";

/** Certificates as they travel between processes of one machine. */
export type CertificateList = readonly {
  readonly name: string;
  readonly pair: CertificatePair;
  readonly fallback: boolean;
}[];

/** Listening options as they travel: stores as lists, buffers as text. */
export interface WireListen {
  readonly options: Omit<ListenOptions, "tls">;
  readonly tls?: {
    readonly http2: boolean;
    readonly requireSni: boolean;
    readonly checkHost: boolean;
    readonly ticketKeys: string;
    readonly certificates: CertificateList;
  };
}

/** What the primary process tells a worker. */
export type ToWorker =
  | {
      readonly type: "start";
      readonly settings: RouterSettings;
      readonly routes: RouteMessage;
      /** Challenges that the primary process can answer. */
      readonly challenges: { readonly http: boolean; readonly tls: boolean };
    }
  /** Answers a question with that id; without a value there is no answer. */
  | { readonly type: "answer"; readonly id: number; readonly value?: unknown }
  | { readonly type: "routes"; readonly message: RouteMessage }
  | { readonly type: "listen"; readonly id: number; readonly listen: WireListen }
  | { readonly type: "certificates"; readonly id: number; readonly certificates: CertificateList }
  | {
      readonly type: "drain";
      readonly id: number;
      readonly app: string;
      readonly backend: string;
      readonly timeoutMs: number;
    }
  | { readonly type: "metrics"; readonly id: number }
  | { readonly type: "close"; readonly id: number; readonly options: CloseOptions };

/** What a worker tells the primary process; `id` answers a message with that id. */
export type FromWorker =
  /** Messages sent before this one are lost. */
  | { readonly type: "ready" }
  | { readonly type: "started" }
  | {
      readonly type: "log";
      readonly channel: string;
      readonly lines: readonly string[];
      readonly at: number;
    }
  | { readonly type: "demand"; readonly app: string }
  /** An exception inside the router, for `onError`. */
  | { readonly type: "error"; readonly message: string; readonly stack: string }
  | {
      readonly type: "challenge";
      readonly id: number;
      readonly hostname: string;
      /** Of HTTP-01; null for TLS-ALPN-01. */
      readonly token: string | null;
    }
  | { readonly type: "done"; readonly id: number; readonly value: unknown }
  | { readonly type: "failed"; readonly id: number; readonly message: string };
