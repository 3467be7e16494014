import type { StoredMessage } from "../message.ts";
import { copyMessage } from "../query/copy-message.ts";

/** Longest line that is put together again. */
export const MAX_JOINED_BYTES = 1024 * 1024;

/** How many of these messages, from `at` on, are all pieces of one line; 0 when they are not. */
export function piecesFrom(messages: readonly StoredMessage[], at: number): number {
  const split = messages[at]?.split;
  if (split?.index !== 1 || split.count > messages.length - at) return 0;
  const last = messages[at + split.count - 1]?.split;
  if (last?.group !== split.group || last.index !== split.count) return 0;
  let bytes = 0;
  for (let piece = 0; piece < split.count; piece += 1) bytes += messages[at + piece]!.body.length;
  return bytes <= MAX_JOINED_BYTES ? split.count : 0;
}

/**
 * Puts the pieces of long lines together where all of them are in the batch (spec/logplex.md
 * §4.6). Pieces of other lines may stand between them; the whole line takes the last one's place.
 */
export function joinPieces(messages: readonly StoredMessage[]): StoredMessage[] {
  const groups = new Map<string, StoredMessage[]>();
  for (const message of messages) {
    if (!message.split) continue;
    const pieces = groups.get(message.split.group) ?? [];
    pieces.push(message);
    groups.set(message.split.group, pieces);
  }
  for (const [group, pieces] of groups) {
    if (!isWhole(pieces)) groups.delete(group);
  }
  return messages.flatMap((message) => {
    const pieces = message.split && groups.get(message.split.group);
    if (!pieces) return [message];
    if (message !== pieces[pieces.length - 1]) return [];
    const body = Buffer.concat(pieces.map((piece) => piece.body));
    return [copyMessage(message, { body, split: undefined })];
  });
}

function isWhole(pieces: readonly StoredMessage[]): boolean {
  let bytes = 0;
  for (const [index, { split, body }] of pieces.entries()) {
    bytes += body.length;
    if (split?.index !== index + 1 || split.count !== pieces.length) return false;
  }
  return bytes <= MAX_JOINED_BYTES;
}
