import { get } from "node:http";
import { afterEach, expect, test } from "vitest";
import { formatLine, Logplex } from "../src/index.ts";

let logplex: Logplex;
afterEach(() => logplex.close());
const line = (text: string) => Buffer.from(text);
function write(channel: string, ...texts: string[]) {
  void logplex.write({
    channel,
    source: "app",
    proc: "web.1",
    lines: texts.map(line),
    at: 1773480413589,
  });
}

test("history filters before the limit", () => {
  logplex = new Logplex();
  for (let i = 0; i < 10; i++) write("a", i % 2 ? `odd ${i}` : `even ${i}`);
  const got = logplex.channel("a").history({ query: "odd", limit: 2 });
  expect(got.map((m) => Buffer.from(m.body).toString())).toEqual(["odd 7", "odd 9"]);
  expect(formatLine(got[0]!)).toBe("2026-03-14T09:26:53.589000+00:00 app[web.1]: odd 7\n");
});

test("tail joins", async () => {
  logplex = new Logplex();
  write("a", "one", "two");
  const tail = logplex.channel("a").tail();
  write("a", "three");
  const seen: number[] = [];
  for await (const m of tail) {
    seen.push(m.seq);
    if (m.seq === 3) break;
  }
  expect(seen).toEqual([1, 2, 3]);
});

test("retention", () => {
  logplex = new Logplex();
  for (let i = 0; i < 4000; i++) write("a", `line ${i}`);
  const got = logplex.channel("a").history({ limit: 10000 });
  expect(got.length).toBe(1500);
  expect(got[0]!.seq).toBe(2501);
  expect(logplex.channel("a").read(1, 5).trimmed).toBe(2500);
});

test("session sse", async () => {
  logplex = new Logplex();
  write("a", "one", "t\nwo");
  const { http } = await logplex.listen({ http: { port: 0 } });
  const s = logplex.createSession("a", { tail: true });
  const text = await new Promise<string>((resolve, reject) => {
    let text = "";
    const req = get({ ...http, path: s.path, headers: { accept: "text/event-stream" } }, (res) => {
      res.on("data", (c) => {
        text += c;
        if (text.includes("three\n\n")) {
          req.destroy();
          resolve(text);
        } else if (text.includes("wo") && !text.includes("three")) write("a", "three");
      });
      res.on("error", () => {});
    }).on("error", reject);
  });
  expect(text).toContain(
    "retry: 1000\n\nid: 1\ndata: 2026-03-14T09:26:53.589000+00:00 app[web.1]: one\n\n",
  );
  const s2 = logplex.createSession("a", {});
  const r = await fetch(`http://127.0.0.1:${http!.port}${s2.path}`);
  expect(await r.text()).toBe(
    "2026-03-14T09:26:53.589000+00:00 app[web.1]: one\n2026-03-14T09:26:53.589000+00:00 app[web.1]: t\n2026-03-14T09:26:53.589000+00:00 app[web.1]: wo\n2026-03-14T09:26:53.589000+00:00 app[web.1]: three\n",
  );
  expect((await fetch(`http://127.0.0.1:${http!.port}${s2.path}`)).status).toBe(404);
});
