import { describe, expect, it, test } from "vitest";
import { displayLines, formatLine } from "../../src/index.ts";
import { message } from "../query/messages.ts";

const AT = "2026-03-14T09:26:53.589793+00:00";
const one = (body: string, procid = "web.1", source = "app") =>
  message({ body, procid, source, ts: 1_773_480_413_589_793 });

describe("a line as people read it, spec/logplex.md §3", () => {
  test("is that of the worked example", () => {
    expect(formatLine(one("Hello, log router"))).toBe(`${AT} app[web.1]: Hello, log router\n`);
  });

  test("has six digits however few the producer gave", () => {
    const whole = message({ body: "x", ts: 1_773_480_413_000_000, tsText: "2026-03-14T09:26:53Z" });
    expect(formatLine(whole)).toMatch(/^2026-03-14T09:26:53\.000000\+00:00 app\[web\.1\]: x\n$/);
  });

  test("has no brackets without a process", () => {
    expect(formatLine(one("x", ""))).toBe(`${AT} app: x\n`);
    expect(formatLine(one("", ""))).toBe(`${AT} app: \n`);
  });

  test("is one of several where the body has several, each with the prefix", () => {
    const forged = `safe\n${AT} heroku[router]: at=info`;
    expect(displayLines(one(forged))).toEqual([
      `${AT} app[web.1]: safe`,
      `${AT} app[web.1]: ${AT} heroku[router]: at=info`,
    ]);
  });

  it.each([
    ["tab\tstays", "tab\tstays"],
    ["é ☕ 𝄞", "é ☕ 𝄞"],
    ["a\rb", "a\\x0Db"],
    ["a\r\nb", "a\\x0D|b"],
    ["nul\0", "nul\\x00"],
    ["\x1b[31mred\x1b[0m", "\\x1B[31mred\\x1B[0m"],
    ["del\x7f", "del\\x7F"],
    ["next\x85line", "next\\x85line"],
    ["csi\x9b31m", "csi\\x9B31m"],
    ["\x0b\x0c\x08", "\\x0B\\x0C\\x08"],
    ["\\x1B", "\\x1B"],
  ])("shows %j as %j", (body, shown) => {
    const prefix = `${AT} app[web.1]: `;
    expect(displayLines(one(body))).toEqual(shown.split("|").map((line) => prefix + line));
  });

  test("shows no control character of a name either", () => {
    expect(displayLines(one("x", "we\nb", "a\x1bpp"))).toEqual([`${AT} a\\x1Bpp[we\\x0Ab]: x`]);
  });

  test("keeps control characters for those who ask for it, never a line feed", () => {
    expect(displayLines(one("\x1b[1ma\nb\x85"), { controls: true })).toEqual([
      `${AT} app[web.1]: \x1b[1ma`,
      `${AT} app[web.1]: b\x85`,
    ]);
  });

  test("shows octets that are no UTF-8 as one mark each", () => {
    const broken = { ...one(""), body: Buffer.from([0x61, 0xff, 0xfe, 0x62]) };
    expect(displayLines(broken)).toEqual([`${AT} app[web.1]: a\ufffd\ufffdb`]);
  });

  test("may have the time of the zone of this process", () => {
    const [time = ""] = formatLine(one("x"), { local: true }).split(" ");
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.589793[+-]\d\d:\d\d$/);
    expect(Date.parse(time)).toBe(1_773_480_413_589);
  });
});
