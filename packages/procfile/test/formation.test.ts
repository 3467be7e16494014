import { describe, expect, test } from "vitest";
import {
  assignPorts,
  type FormationDiagnosticCode,
  formatFormation,
  formationDiagnosticTable,
  type ParseFormationOptions,
  parseFormation,
} from "../src/index.ts";

const types = ["web", "worker"];
const current = { web: { quantity: 2, size: "Basic" }, worker: 1 };

describe("parseFormation (spec/procfile.md §5)", () => {
  const rows: readonly (readonly [string, Record<string, unknown>, ParseFormationOptions?])[] = [
    ["web=2", { web: { quantity: 2 } }],
    ["web=2 worker=1", { web: { quantity: 2 }, worker: { quantity: 1 } }],
    ["web=2,worker=1", { web: { quantity: 2 }, worker: { quantity: 1 } }],
    ["web=2, worker=1", { web: { quantity: 2 }, worker: { quantity: 1 } }],
    ["web=2:standard-2x", { web: { quantity: 2, size: "standard-2x" } }],
    ["web", { web: { quantity: 1 } }],
    ["web:Eco", { web: { quantity: 1, size: "Eco" } }],
    ["web=0", { web: { quantity: 0 } }],
    ["", {}],
    ["  ", {}],
    ["web+1", { web: { quantity: 3, size: "Basic" }, worker: { quantity: 1 } }, { types, current }],
    [
      "web-2:eco",
      { web: { quantity: 0, size: "eco" }, worker: { quantity: 1 } },
      { types, current },
    ],
    ["web=5", { web: { quantity: 5, size: "Basic" }, worker: { quantity: 1 } }, { types, current }],
    ["all=1,worker=0", { web: { quantity: 1 }, worker: { quantity: 0 } }, { types }],
    [
      "all=3:eco",
      { web: { quantity: 3, size: "eco" }, worker: { quantity: 3, size: "eco" } },
      { types },
    ],
    ["web=2", { web: { quantity: 2 }, worker: { quantity: 0 } }, { types }],
    ["web=2", { web: { quantity: 2 }, worker: { quantity: 1 } }, { types, unlisted: 1 }],
    ["my-worker=2", { "my-worker": { quantity: 2 } }],
    ["my_worker-0", { my_worker: { quantity: 0 } }],
    ["job-2", { "job-2": { quantity: 1 } }, { types: ["job-2"] }],
    ["web=1:EcO", { web: { quantity: 1, size: "eco" } }, { sizes: ["eco", "basic"] }],
    ["__proto__=1", { ["__proto__"]: { quantity: 1 } }],
  ];
  const table = rows.map(([text, formation, options = {}]) => ({ text, formation, options }));
  test.each(table)("$text", ({ text, formation, options }) => {
    const result = parseFormation(text, options);
    expect(result.diagnostics).toEqual([]);
    expect(result.ok).toBe(true);
    expect({ ...result.formation }).toEqual(formation);
    expect(Object.getPrototypeOf(result.formation)).toBeNull();
  });

  test("takes a list of arguments as a shell gives them", () => {
    expect(parseFormation(["web=1", "worker+2"]).changes).toMatchObject([
      { type: "web", kind: "set", quantity: 1, argument: "web=1" },
      { type: "worker", kind: "add", delta: 2, argument: "worker+2" },
    ]);
  });

  const errors: Record<
    FormationDiagnosticCode,
    readonly (readonly [string, string, RegExp, ParseFormationOptions?])[]
  > = {
    "empty-argument": [
      ["web=1,,worker=1", "7-8", /comma/],
      [",web=1", "1-2", /comma/],
      ["web=1,", "6-7", /comma/],
    ],
    "invalid-argument": [
      ["web=1 w@b=1", "7-12", /"w@b=1"/],
      ["=1", "1-3", /"=1"/],
      ["web++1", "1-7", /"web\+\+1"/],
      ["web+", "1-5", /"web\+"/],
    ],
    "invalid-quantity": [
      ["foo=x", "1-6", /"foo=x"/],
      ["foo===2", "1-8", /"foo===2"/],
      ["foo=", "1-5", /"foo="/],
      ["foo=-1", "1-7", /"-1"/],
      ["foo=1.5", "1-8", /"1.5"/],
      ["foo=+1", "1-7", /"\+1"/],
      ["foo=9999999", "1-12", /9999999/],
      ["web=standard-2x", "1-16", /"web=1:standard-2x"/],
    ],
    "invalid-size": [
      ["web=1:", "1-7", /size/],
      ["web=1:a:b", "1-10", /size/],
    ],
    "unknown-size": [["web=1:ecoo", "1-11", /Did you mean "eco"\?/, { sizes: ["eco", "basic"] }]],
    "unknown-type": [
      ["wbe=1", "1-6", /Did you mean "web"\?/, { types }],
      ["x=1", "1-4", /There are web, worker/, { types }],
    ],
    "ambiguous-type": [["job-2", "1-6", /both "job" and "job-2"/, { types: ["job", "job-2"] }]],
    "duplicate-type": [
      ["web=1 web=2", "7-12", /twice/],
      ["all=1 all=2", "7-12", /twice/],
    ],
    "all-needs-quantity": [
      ["all", "1-4", /all=1/],
      ["all+1", "1-6", /all=1/],
    ],
    "below-zero": [["worker-2", "1-9", /only 1 of worker runs/, { current }]],
  };
  const flat = Object.entries(errors).flatMap(([code, list]) =>
    list.map(([text, at, message, options = {}]) => ({ code, text, at, message, options })),
  );
  test.each(flat)("$code: $text", ({ code, text, at, message, options }) => {
    const { ok, diagnostics } = parseFormation(text, options);
    expect(ok).toBe(false);
    expect(diagnostics.map((item) => item.code)).toEqual([code]);
    const [{ range, message: said }] = diagnostics as [(typeof diagnostics)[0]];
    expect(`${range.start.column}-${range.end.column}`).toBe(at);
    expect(said).toMatch(message);
  });

  test("the good arguments are still there beside a bad one", () => {
    expect(parseFormation("web=1 bad! worker=2").changes.map(({ type }) => type)).toEqual([
      "web",
      "worker",
    ]);
  });

  test("every code of the table has a case", () => {
    expect(new Set(Object.keys(errors))).toEqual(new Set(Object.keys(formationDiagnosticTable)));
  });
});

describe("formatFormation", () => {
  const formation = {
    worker: { quantity: 1, size: "Standard-1X" },
    web: { quantity: 2, size: "Standard-1X" },
    job: 0,
  };
  test("as arguments, sorted", () => {
    expect(formatFormation(formation)).toBe("job=0 web=2:Standard-1X worker=1:Standard-1X");
  });
  test("as the sentence after a scaling", () => {
    expect(
      formatFormation({ web: formation.web, worker: formation.worker }, { style: "sentence" }),
    ).toBe("now running web at 2:Standard-1X, worker at 1:Standard-1X");
  });
  test("refuses a name that would not read back", () => {
    expect(() => formatFormation({ "a b": 1 })).toThrow(
      expect.objectContaining({ code: "invalid-name" }),
    );
  });
});

describe("assignPorts (spec/procfile.md §6)", () => {
  const entries = ["worker", "web", "clock", "admin"].map((name) => ({ name }));
  const ports = (
    list: { name: string }[],
    ...rest: [Parameters<typeof assignPorts>[1]?, Parameters<typeof assignPorts>[2]?]
  ) => Object.fromEntries(assignPorts(list, ...rest).ports.map(({ dyno, port }) => [dyno, port]));

  test("web has the base and its instances follow; other types have none unless asked", () => {
    expect(ports(entries, { web: 3, worker: 2 })).toEqual({
      "web.1": 5000,
      "web.2": 5001,
      "web.3": 5002,
    });
    expect(ports(entries, { web: 1, worker: 2 }, { ports: ["worker"], base: 7000 })).toEqual({
      "web.1": 7000,
      "worker.1": 7300,
      "worker.2": 7301,
    });
  });

  test("a port depends on neither the order of lines nor on what is started", () => {
    const all = ports(entries, undefined, { ports: "all" });
    expect(ports([...entries].reverse(), undefined, { ports: "all" })).toEqual(all);
    for (const { name } of entries)
      expect(ports(entries, { [name]: 1 }, { ports: "all" })).toEqual({
        [`${name}.1`]: all[`${name}.1`],
      });
    for (const { name } of entries)
      expect(ports(entries, undefined, { ports: [name] })[`${name}.1`]).toBe(all[`${name}.1`]);
  });

  test("the place of web is kept for it where the file has none", () => {
    expect(ports([{ name: "a" }], undefined, { ports: "all" })).toEqual({ "a.1": 5100 });
  });

  test("foreman counts by line of the file", () => {
    expect(ports(entries, { web: 2, clock: 1 }, { strategy: "foreman" })).toEqual({
      "web.1": 5100,
      "web.2": 5101,
      "clock.1": 5200,
    });
    expect(ports(entries, { web: 1 }, { strategy: "foreman", base: 1234 })).toEqual({
      "web.1": 1334,
    });
  });

  test("can be switched off for a type", () => {
    expect(ports(entries, undefined, { ports: "all", without: ["web", "admin"] })).toEqual({
      "clock.1": 5200,
      "worker.1": 5300,
    });
  });

  test("the ports of all types are variables", () => {
    const { variables, get } = assignPorts([{ name: "web" }, { name: "my-worker" }], undefined, {
      ports: "all",
    });
    expect({ ...variables }).toEqual({ PORT_WEB: "5000", PORT_MY_WORKER: "5100" });
    expect(get("web.1")).toBe(5000);
    expect(get("web.2")).toBeUndefined();
  });

  test("takes what parseFormation gives", () => {
    expect(ports(entries, parseFormation("web=2").formation)).toEqual({
      "web.1": 5000,
      "web.2": 5001,
    });
  });

  test.each([
    [{ web: 1 }, { base: 0 }],
    [{ web: 1 }, { base: 70_000 }],
    [{ web: 1 }, { step: 0 }],
    [{ web: 101 }, {}],
    [{ web: 2 }, { base: 65_535 }],
    [{ web: -1 }, {}],
    [{ web: 1.5 }, {}],
  ])("refuses %j with %j", (formation, options) => {
    expect(() => assignPorts(entries, formation, options)).toThrow(
      expect.objectContaining({ code: "invalid-option" }),
    );
  });
});
