// What the segments of a dyno's log are made of. A segment: its number (8, double) and records.
// Record: 1 (1), type (1), flags (1), nothing (1), length (4), time (8, double), bytes: whole lines with their
// line ends, the last line of all without, a part of one line, or the number of lines (8, double) that had
// no room on the disk.
// After the last record there is a 0, which its successor makes a 1 when all else of it is written: what
// a reader meets behind a 1 is complete.

/** Bytes before the first record. */
export const SEGMENT_HEADER = 8;
export const RECORD_HEADER = 16;
export const TYPE_STDOUT = 0;
export const TYPE_STDERR = 1;
export const TYPE_EXIT = 3;
export const TYPE_LOST = 4;
export const FLAG_PARTIAL = 1;

/** A record as it is in `bytes` from `at` on; undefined when it is not, or not wholly, there. */
export function recordAt(bytes, at) {
  if (at + RECORD_HEADER > bytes.length || bytes[at] !== 1) return undefined;
  const end = at + RECORD_HEADER + bytes.readUInt32LE(at + 4);
  if (end > bytes.length) return undefined;
  return {
    type: bytes[at + 1],
    partial: (bytes[at + 2] & FLAG_PARTIAL) !== 0,
    time: bytes.readDoubleLE(at + 8),
    from: at + RECORD_HEADER,
    end,
  };
}

/** Puts a record's head before `area[from, to)` and a 0 behind it; the 1 comes last, by another write. */
export function frameRecord(area, from, to, type, partial, time) {
  const start = from - RECORD_HEADER;
  area[start] = 0;
  area[start + 1] = type;
  area[start + 2] = partial ? FLAG_PARTIAL : 0;
  area[start + 3] = 0;
  area.writeUInt32LE(to - from, start + 4);
  area.writeDoubleLE(time, start + 8);
  area[to] = 0;
}
