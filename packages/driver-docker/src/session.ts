import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { DriverSession, ExitResult } from "@dynokit/manifold";
import { demultiplex } from "./log-stream.ts";

export interface SessionControl {
  readonly tty: boolean;
  resize(size: { readonly columns: number; readonly rows: number }): Promise<void>;
  signal(name: string): Promise<void>;
  wait(): Promise<ExitResult>;
  /** The client is gone. */
  closed(): Promise<void>;
}

/** A hijacked connection of the engine as the framed session of the driver contract. */
export function dockerSession(stream: Duplex, control: SessionControl): DriverSession {
  // The engine ends the connection when the program ends; a reset says no more than that.
  stream.on("error", () => stream.destroy());
  return {
    output: demultiplex(stream, control.tty),
    async write(bytes) {
      if (stream.writable && !stream.write(bytes))
        await Promise.race([once(stream, "drain"), once(stream, "close")]);
    },
    async end() {
      stream.end();
    },
    resize: (size) => control.resize(size),
    signal: (name) => control.signal(name),
    wait: () => control.wait(),
    async close() {
      stream.destroy();
      await control.closed();
    },
  };
}
