import { NO_SD, type StructuredElement } from "../message.ts";

/** The part of a message that neighbours usually share; one object serves many messages. */
export interface Head {
  readonly pri: number;
  readonly source: string;
  readonly procid: string;
  readonly hostname: string;
  readonly msgid: string;
  readonly sd: readonly StructuredElement[];
}

/** Completes a head; every object made here has the same hidden class. */
export function createHead(
  pri: number,
  source: string,
  procid: string,
  hostname = "",
  msgid = "",
  sd: readonly StructuredElement[] = NO_SD,
): Head {
  return { pri, source, procid, hostname, msgid, sd };
}
