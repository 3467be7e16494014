// How many lines went with each segment that was given up: file `lost`, 8 bytes (a double) for each segment.
// They are counted at that moment: a dyno whose output is read does not pay for a count.
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { FLAG_PARTIAL, RECORD_HEADER, SEGMENT_HEADER, TYPE_LOST } from "./record.mjs";

const ENTRY = 8;
const CHUNK = 65_536;
const NEWLINE = 10;

/** Notes what goes with a segment; before it goes, so that who misses it finds the number. */
export function noteLoss(directory, number) {
  const entry = Buffer.allocUnsafe(ENTRY);
  entry.writeDoubleLE(linesIn(`${directory}/log.${number}`), 0);
  const fd = openSync(`${directory}/lost`, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    writeSync(fd, entry, 0, ENTRY, number * ENTRY);
  } finally {
    closeSync(fd);
  }
}

/**
 * Lines that went with the segments from `from` to the one before `to`, without the first `delivered` of
 * `from`. What was acknowledged did not go.
 */
export function lostBetween(directory, from, to, delivered) {
  let fd;
  try {
    fd = openSync(`${directory}/lost`, "r");
  } catch {
    return 0;
  }
  try {
    const bytes = Buffer.allocUnsafe(CHUNK);
    let lost = 0;
    for (let number = from; number < to; ) {
      const wanted = Math.min(CHUNK, (to - number) * ENTRY);
      const length = readSync(fd, bytes, 0, wanted, number * ENTRY);
      if (length < ENTRY) break;
      for (let at = 0; at + ENTRY <= length; at += ENTRY, number++) {
        const lines = bytes.readDoubleLE(at);
        lost += number === from ? Math.max(0, lines - delivered) : lines;
      }
    }
    return lost;
  } finally {
    closeSync(fd);
  }
}

function linesIn(path) {
  const bytes = Buffer.allocUnsafe(CHUNK);
  const fd = openSync(path, "r");
  let lines = 0;
  try {
    for (let at = SEGMENT_HEADER; ; ) {
      if (readSync(fd, bytes, 0, RECORD_HEADER, at) < RECORD_HEADER || bytes[0] !== 1) return lines;
      const type = bytes[1];
      const isPart = (bytes[2] & FLAG_PARTIAL) !== 0;
      const end = at + RECORD_HEADER + bytes.readUInt32LE(4);
      at += RECORD_HEADER;
      if (type === TYPE_LOST) {
        readSync(fd, bytes, 0, ENTRY, at);
        lines += bytes.readDoubleLE(0);
      } else if (isPart) lines++;
      else lines += countLines(fd, bytes, at, end);
      at = end;
    }
  } finally {
    closeSync(fd);
  }
}

/** The last line of all may have no line end. */
function countLines(fd, bytes, from, to) {
  let lines = 0;
  let last = NEWLINE;
  for (let at = from; at < to; ) {
    const length = readSync(fd, bytes, 0, Math.min(CHUNK, to - at), at);
    if (length === 0) break;
    const read = bytes.subarray(0, length);
    for (let found = read.indexOf(NEWLINE); found !== -1; found = read.indexOf(NEWLINE, found + 1))
      lines++;
    last = read[length - 1];
    at += length;
  }
  return last === NEWLINE ? lines : lines + 1;
}
