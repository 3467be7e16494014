import type { Socket } from "node:net";

/** One line of JSON each way and per message; a connection carries one request. */
export type ControlRequest =
  | { readonly op: "ps" }
  | { readonly op: "start" | "stop"; readonly types: readonly string[] }
  | { readonly op: "restart"; readonly targets: readonly string[] }
  | { readonly op: "scale"; readonly changes: readonly string[] }
  | {
      readonly op: "logs";
      readonly query?: string | undefined;
      readonly lines: number;
      readonly tail: boolean;
    }
  | { readonly op: "attach"; readonly dyno: string };

/** During an attach, from the client. */
export type AttachInput =
  | { readonly input: string }
  | { readonly end: true }
  | { readonly size: { readonly columns: number; readonly rows: number } };

/** A row of `dynokit local ps`. */
export interface LocalDyno {
  readonly dyno: string;
  readonly type: string;
  readonly state: string;
  readonly command: string;
  readonly port?: number;
  /** ms since the epoch. */
  readonly since: number;
  readonly crashes: number;
  readonly nextAttemptAt?: number;
  readonly exitStatus?: number;
}

export type ControlReply =
  | { readonly ok: true; readonly result?: unknown }
  | { readonly error: string }
  | { readonly line: string }
  /** Base64, during an attach. */
  | { readonly output: string }
  | { readonly attached: { readonly dyno: string; readonly tty: boolean } }
  | { readonly exit: number };

/** Longest message; above it the sender is no friend. */
const maxBytes = 1_048_576;

/** Calls `handle` for every message. Destroys the socket when one is not JSON or too long. */
export function readMessages<T>(socket: Socket, handle: (message: T) => void): void {
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      const line = rest.subarray(0, end).toString("utf8");
      rest = rest.subarray(end + 1);
      let message: T;
      try {
        message = JSON.parse(line) as T;
      } catch {
        socket.destroy();
        return;
      }
      handle(message);
    }
    if (rest.length > maxBytes) socket.destroy();
  });
}

/** Resolves when the other side can take more. */
export function send(socket: Socket, message: ControlReply | ControlRequest | AttachInput) {
  return new Promise<void>((resolve) => {
    if (socket.destroyed) resolve();
    else socket.write(`${JSON.stringify(message)}\n`, () => resolve());
  });
}
