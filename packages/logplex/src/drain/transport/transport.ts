import type { ResolvedAddress } from "../net/lookup.ts";

/** A batch on its way to the receiver. */
export interface OutgoingFrame {
  readonly id: string;
  readonly body: Buffer;
  readonly contentType: string;
  /** Messages in the body as the receiver counts them. */
  readonly count: number;
  /** Ends of single messages in `body`. */
  readonly ends?: Uint32Array;
}

/** What a send came to. Reasons are safe to show: they hold no credentials. */
export type SendOutcome =
  | {
      readonly kind: "delivered";
      /** The system has all octets, so the buffer of the frame may be used again. */
      readonly flushed?: true;
      readonly status?: number;
      /** Messages that the receiver refused though it took the batch (OTLP partial success). */
      readonly rejected?: number;
      readonly reason?: string;
    }
  | {
      readonly kind: "temporary";
      readonly reason: string;
      readonly status?: number;
      readonly retryAfterMs?: number;
      /** The receiver redirects there; never followed. */
      readonly redirect?: string;
      /** The name could not be resolved: worth telling the owner. */
      readonly unresolved?: boolean;
    }
  | {
      readonly kind: "certificate";
      readonly reason: string;
      readonly certificate?: CertificateFacts;
    }
  | { readonly kind: "blocked"; readonly reason: string }
  | { readonly kind: "too-large"; readonly status?: number }
  | { readonly kind: "refused"; readonly status: 401 | 403 | 404; readonly reason: string }
  | { readonly kind: "gone"; readonly reason: string }
  | { readonly kind: "rejected"; readonly reason: string; readonly status?: number }
  | { readonly kind: "aborted" };

/** What a peer's certificate says about itself. */
export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly validFrom: string;
  readonly validTo: string;
  /** SHA-256 of the public key, base64. */
  readonly spki?: string;
}

/** What a test of a drain found out (spec/logplex.md §9.7). */
export interface ProbeReport {
  readonly outcome: SendOutcome;
  readonly addresses: readonly ResolvedAddress[];
  readonly certificates: readonly CertificateFacts[];
  readonly tlsProtocol?: string;
  readonly latencyMs: number;
}

/** Carries frames to one receiver; as many sends at a time as the drain's `concurrency`. */
export interface DrainTransport {
  /** Never rejects: every failure is an outcome. */
  send(frame: OutgoingFrame, signal: AbortSignal): Promise<SendOutcome>;
  /** Sends one frame on a connection of its own and reports what it saw. */
  probe(frame: OutgoingFrame, signal: AbortSignal): Promise<ProbeReport>;
  /** Head of the next request as it would be sent, credentials masked. */
  preview(frame: OutgoingFrame): string;
  /** Closes connections; waits for what a graceful end needs. Idempotent. */
  close(): Promise<void>;
}
