const encoder = new TextEncoder();

/** A ustar header block. Programs are uploaded by their content: every file may be executed. */
export function tarHeader(name: string, size: number, modified: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(512);
  const put = (text: string, offset: number, length: number) => {
    block.set(encoder.encode(text).subarray(0, length), offset);
  };
  const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, "0");
  const [prefix, rest] = splitName(name);
  put(rest, 0, 100);
  put(octal(0o755, 8), 100, 8);
  put(octal(0, 8), 108, 8);
  put(octal(0, 8), 116, 8);
  put(octal(size, 12), 124, 12);
  put(octal(Math.floor(modified / 1000), 12), 136, 12);
  put("        ", 148, 8);
  put("0", 156, 1);
  put("ustar\0", 257, 6);
  put("00", 263, 2);
  put(prefix, 345, 155);
  let sum = 0;
  for (const byte of block) sum += byte;
  put(`${octal(sum, 7)}\0 `, 148, 8);
  return block;
}

/** ustar keeps a long name in two fields that are joined by a slash. */
function splitName(name: string): [string, string] {
  if (encoder.encode(name).length <= 100) return ["", name];
  for (let slash = name.indexOf("/"); slash !== -1; slash = name.indexOf("/", slash + 1)) {
    const prefix = name.slice(0, slash);
    const rest = name.slice(slash + 1);
    if (encoder.encode(prefix).length <= 155 && encoder.encode(rest).length <= 100)
      return [prefix, rest];
  }
  throw new Error(`The path ${name} is too long for an archive: shorten it, or upload a .tar.gz.`);
}
