import { describe, expect, it } from "vitest";
import type { StoredMessage } from "../../src/message.ts";
import { compileQuery } from "../../src/query/index.ts";
import { message } from "./messages.ts";

/** Bodies that come out of a query for these messages, the rest of the stages included. */
function run(query: string, subjects: readonly (StoredMessage | string)[]): string[] {
  const pipeline = compileQuery(query).pipeline();
  const out = subjects.flatMap((subject, index) => {
    const one = typeof subject === "string" ? message({ body: subject, seq: index + 1 }) : subject;
    return [...pipeline.push(one)];
  });
  return [...out, ...pipeline.flush()].map(({ body }) => Buffer.from(body).toString());
}

const at = (seconds: number, body: string, more: object = {}) =>
  message({ body, seq: seconds + 1, receivedAt: 1_773_480_000_000_000 + seconds * 1e6, ...more });

describe("stages of LQ", () => {
  it("without a stage hand on what matches, untouched", () => {
    const subject = message({ body: "hit" });
    const pipeline = compileQuery("hit").pipeline();
    expect(pipeline.push(subject)).toEqual([subject]);
    expect(pipeline.push(message({ body: "miss" }))).toEqual([]);
    expect(pipeline.done).toBe(false);
  });

  it.each([
    ["fields path,ms", 'at=info path="/a b" ms=5 x=1', 'path="/a b" ms=5'],
    ["fields .path,dyno", "path=/x", "path=/x dyno=web.1"],
    ["fields nothing", "path=/x", ""],
    ["fields user.id,ok", '{"user":{"id":42,"n":"A"},"ok":true}', '{"user":{"id":42},"ok":true}'],
    ["fields __proto__", '{"a":1}', "{}"],
    ["drop secret", "a=1 secret=x b=2", "a=1 b=2"],
    ["drop secret", 'a=1 secret="x y"', "a=1"],
    ["drop secret", "no pairs here", "no pairs here"],
    ["drop user.name", '{"user":{"id":1,"name":"A"}}', '{"user":{"id":1}}'],
    ["parse json | fields a", '[1] {"a":1}', ""],
    ["parse logfmt | fields a", "{x} a=1", "a=1"],
    ["parse router | fields at,status,other", "at=info status=200 other=1", "at=info status=200"],
    ["parse regex /took (?<ms>\\d+)ms (?<what>\\w+)/ | fields ms,what", "took 12ms é ok", ""],
    ["parse regex /took (?<ms>\\d+)ms/ | fields ms", "it took 12ms", "ms=12"],
    ["redact email", "from ann.b+x@mail.example.com, ok", "from [email], ok"],
    ["redact email", "no @ here, a@b nor user@", "no @ here, a@b nor user@"],
    [
      "redact ip",
      "peer 10.1.2.3:443 and 2001:db8::1 at 12:30:45",
      "peer [ip]:443 and [ip] at 12:30:45",
    ],
    ["redact ip", "v1.2.3.4.5 999.1.1.1 1.2.3", "v1.2.3.4.5 999.1.1.1 1.2.3"],
    ["redact card", "pay 4111 1111 1111 1111 now", "pay [card] now"],
    ["redact card", "order 4111111111111112", "order 4111111111111112"],
    ["redact /tok_\\w+/", "key=tok_abc, tok_d", "key=[redacted], [redacted]"],
    ["redact email,ip", "a@b.co 10.0.0.1", "[email] [ip]"],
    ["redact (email|card)", "a@b.co 4111111111111111", "[email] [card]"],
  ])("%s turns %j into %j", (stage, body, expected) => {
    expect(run(`| ${stage}`, [body])).toEqual([expected]);
  });

  it("redact also looks into structured data", () => {
    const pipeline = compileQuery("| redact email").pipeline();
    const sd = [{ id: "a@1", params: [{ name: "m", value: "to a@b.co" }] }];
    expect(pipeline.push(message({ sd }))[0]?.sd[0]?.params[0]?.value).toBe("to [email]");
  });

  it("redact masks the rest of a line that would take more than linear work", () => {
    const [out = ""] = run("| redact /a.*b|a/", ["a".repeat(5000)]);
    expect(out.length).toBeLessThan(3000);
    expect(out.endsWith("[redacted]")).toBe(true);
    expect(out).not.toContain("aa");
  });

  it("head stops after its count and says that it is done", () => {
    const pipeline = compileQuery("| head 2").pipeline();
    expect(pipeline.push(message()).length).toBe(1);
    expect(pipeline.done).toBe(false);
    expect(pipeline.push(message()).length).toBe(1);
    expect(pipeline.done).toBe(true);
    expect(pipeline.push(message())).toEqual([]);
  });

  it("sample keeps about its share, the same in every run", () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index}`);
    const kept = run("| sample 10%", lines);
    expect(kept.length).toBeGreaterThan(800);
    expect(kept.length).toBeLessThan(1200);
    expect(run("| sample 10%", lines)).toEqual(kept);
    expect(run("| sample 0%", lines)).toEqual([]);
    expect(run("| sample 100%", lines)).toHaveLength(10_000);
  });

  it("sample by a key keeps all lines of a value or none", () => {
    const lines = Array.from({ length: 400 }, (_, index) => `request=${index % 40} n=${index}`);
    const kept = run("| sample 30% by .request", lines);
    const counts = new Map<string, number>();
    for (const line of kept) {
      const key = line.split(" ")[0] as string;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBeGreaterThan(3);
    expect(new Set(counts.values())).toEqual(new Set([10]));
  });

  it("rate lets its limit through per second of receipt, per key", () => {
    const burst = (second: number) =>
      Array.from({ length: 5 }, (_, index) => at(second, `${second}.${index}`));
    expect(run("| rate 2/s", [...burst(0), ...burst(1)])).toEqual(["0.0", "0.1", "1.0", "1.1"]);
    const two = [
      at(0, "a", { procid: "web.1" }),
      at(0, "b", { procid: "web.2" }),
      at(0, "c", { procid: "web.1" }),
    ];
    expect(run("| rate 1/m by dyno", two)).toEqual(["a", "b"]);
  });

  it("dedupe lets one of equal lines through per window", () => {
    const subjects = [
      at(0, "x"),
      at(3, "x"),
      at(4, "y"),
      at(10, "x"),
      at(11, "x", { procid: "web.2" }),
    ];
    expect(run("| dedupe 10s", subjects)).toEqual(["x", "y", "x", "x"]);
    expect(run("| dedupe 10s by .k", [at(0, "k=1 a"), at(1, "k=1 b"), at(2, "k=2 c")])).toEqual([
      "k=1 a",
      "k=2 c",
    ]);
  });

  it("stats counts and sums up per group at the end", () => {
    const subjects = [
      at(0, "service=10ms status=200"),
      at(1, "service=30ms status=200"),
      at(2, "service=1s status=503", { procid: "web.2" }),
      at(3, "none"),
    ];
    expect(run("| stats count", subjects)).toEqual(["count=4"]);
    expect(run("| stats count, avg(.service), max(.service) by dyno", subjects)).toEqual([
      "dyno=web.1 count=3 avg(.service)=20ms max(.service)=30ms",
      "dyno=web.2 count=1 avg(.service)=1000ms max(.service)=1000ms",
    ]);
    expect(
      run("| stats sum(.status),min(.status),distinct(.status),p50(.service)", subjects),
    ).toEqual(["sum(.status)=903 min(.status)=200 distinct(.status)=2 p50(.service)=30ms"]);
    expect(run("nothing | stats count", subjects)).toEqual([]);
  });

  it("stats gives percentiles within one percent for many values", () => {
    const subjects = Array.from({ length: 20_000 }, (_, index) => at(0, `ms=${index + 1}`));
    const [row = ""] = run("| stats p95(.ms)", subjects);
    const value = Number(row.slice(row.lastIndexOf("=") + 1));
    expect(Math.abs(value - 19_000) / 19_000).toBeLessThan(0.011);
  });

  it("stats every reports when a later interval begins", () => {
    const pipeline = compileQuery("| stats count by dyno every 1m").pipeline();
    expect(pipeline.push(at(0, "a"))).toEqual([]);
    expect(pipeline.push(at(59, "b"))).toEqual([]);
    const [row] = pipeline.push(at(61, "c"));
    expect(row?.body.toString()).toBe("dyno=web.1 count=2");
    expect(row?.ts).toBe(1_773_480_060_000_000);
    expect(pipeline.flush().map(({ body }) => body.toString())).toEqual(["dyno=web.1 count=1"]);
  });

  it("stats holds a bounded number of groups", () => {
    const subjects = Array.from({ length: 10_050 }, (_, index) => at(0, `k=${index}`));
    const rows = run("| stats count by .k", subjects);
    expect(rows).toHaveLength(10_001);
    expect(rows.at(-1)).toBe("k=(other) count=50");
  });
});
