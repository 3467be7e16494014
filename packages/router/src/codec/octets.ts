/** Character classes of HTTP/1.1 as tables, one octet per entry (R9110 §5.6.2, R9112 §3.2). */

export const HT = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const COLON = 58;

/** 1 = token octet, 2 = underscore (a token octet that CGI-style apps map to `-`). */
export const TOKEN = new Uint8Array(256);
/** 1 = may stand in a field value: HT, SP, visible ASCII, obs-text. */
export const VALUE = new Uint8Array(256);
/** 1 = may stand in a request target; 2 = obs-text, allowed only when asked for. */
export const TARGET = new Uint8Array(256);

for (const octet of Buffer.from(
  "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
))
  TOKEN[octet] = 1;
TOKEN[0x5f] = 2;

VALUE[0x09] = 1;
for (let octet = 0x20; octet < 256; octet++) if (octet !== 0x7f) VALUE[octet] = 1;

for (let octet = 0x21; octet < 0x7f; octet++) if (octet !== 0x23) TARGET[octet] = 1;
for (let octet = 0x80; octet < 256; octet++) TARGET[octet] = 2;

/** Whether the text is a non-empty HTTP token. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255 || TOKEN[code] === 0) return false;
  }
  return true;
}

/** Whether the text may be written as a field value: no CR, LF, NUL or other control octet. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255 || VALUE[code] === 0) return false;
  }
  return true;
}

/** Whether `HTTP/d.d` stands at an offset, exactly; the caller checks what follows. */
export function isVersion(buffer: Buffer, i: number): boolean {
  const major = buffer[i + 5] as number;
  const minor = buffer[i + 7] as number;
  return (
    buffer[i] === 0x48 &&
    buffer[i + 1] === 0x54 &&
    buffer[i + 2] === 0x54 &&
    buffer[i + 3] === 0x50 &&
    buffer[i + 4] === 0x2f &&
    major >= 48 &&
    major <= 57 &&
    buffer[i + 6] === 0x2e &&
    minor >= 48 &&
    minor <= 57
  );
}
