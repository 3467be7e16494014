import { RouteTable } from "@dynokit/router";
import { expect, test } from "vitest";

test("five thousand apps are set, found, shared and removed", () => {
  const table = new RouteTable();
  const count = 5000;
  for (let i = 0; i < count; i++)
    table.set(`app-${i}`, {
      hosts: [`app-${i}.example.com`, `*.tenant-${i}.example.org`],
      backends: [{ address: { host: "127.0.0.1", port: 1000 + (i % 60_000) } }],
    });
  expect(table.size).toBe(count * 2);
  for (let i = 0; i < count; i += 997) {
    expect(table.resolve(`APP-${i}.example.com:8080`)?.app.id).toBe(`app-${i}`);
    expect(table.resolve(`any.tenant-${i}.example.org`)?.app.id).toBe(`app-${i}`);
  }
  expect(table.resolve("app-5000.example.com")).toBeUndefined();
  const copy = new RouteTable();
  copy.receive({ type: "snapshot", ...table.snapshot() });
  expect(copy.size).toBe(count * 2);
  expect(copy.resolve("app-4999.example.com")?.app.up).toHaveLength(1);
  for (let i = 0; i < count; i++) table.delete(`app-${i}`);
  expect(table.size).toBe(0);
  expect([...table.apps()]).toEqual([]);
  table.close();
  copy.close();
});
