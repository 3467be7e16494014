import type { AddressInfo } from "node:net";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { endpoints } from "../src/endpoints/index.ts";
import { Harness } from "./support/harness.ts";

let harness: Harness;
let url: string;
beforeEach(async () => {
  harness = await new Harness().start();
  const { port }: AddressInfo = await harness.api.listen({ port: 0 });
  url = `http://127.0.0.1:${port}/mcp`;
});
afterEach(() => harness.close());

async function connect(token = harness.token): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  // The types of the library leave undefined out where its own class has it.
  await client.connect(transport as Parameters<Client["connect"]>[0]);
  return client;
}

async function call(client: Client, name: string, values: Record<string, unknown> = {}) {
  const answer = await client.callTool({ name, arguments: values });
  const [first, second] = answer.content as { text: string }[];
  return { json: JSON.parse(first?.text ?? ""), more: second?.text, isError: answer.isError };
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of many shapes.
const json = async (answer: Response): Promise<any> => await answer.json();

const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Authorization: `Bearer ${harness.token}`,
      ...headers,
    },
    body: JSON.stringify(body),
  });

describe("the protocol's own client", () => {
  test("sees every endpoint that a token opens, with schemas that compile", async () => {
    const client = await connect();
    const { tools } = await client.listTools();
    expect(tools).toHaveLength(endpoints.filter(({ open }) => open !== true).length);
    expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
    const ajv = new Ajv2020({
      strict: false,
      formats: { "date-time": true, uri: true, email: true },
    });
    for (const { name, inputSchema } of tools) {
      expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
      expect(() => ajv.compile(inputSchema), name).not.toThrow();
    }
    const document = await json(await fetch(new URL("/openapi.json", url)));
    const ids = Object.values(
      document.paths as Record<string, Record<string, { operationId: string }>>,
    )
      .flatMap((item) => Object.values(item))
      .map(({ operationId }) => operationId);
    expect(ids).toEqual(expect.arrayContaining(tools.map(({ name }) => name)));
    await client.close();
  });

  test("creates, configures, looks and pages", async () => {
    const client = await connect();
    const made = await call(client, "appCreate", { body: { name: "shop" } });
    expect(made).toMatchObject({ json: { name: "shop" }, isError: false });
    await call(client, "appCreate", { body: { name: "cafe" } });
    await call(client, "configVarUpdate", { app: "shop", body: { COLOUR: "red" } });
    expect((await harness.call("GET", "/apps/shop/config-vars")).json).toEqual({ COLOUR: "red" });
    const page = await call(client, "appList", { range: "name ..; max=1" });
    expect(page.json.map(({ name }: { name: string }) => name)).toEqual(["cafe"]);
    expect(page.more).toMatch(/range "name \]cafe/);
    await client.close();
  });

  test("changes nothing in a dry run", async () => {
    const client = await connect();
    const tried = await call(client, "appCreate", { body: { name: "shop" }, dry_run: true });
    expect(tried.isError).toBe(false);
    expect((await harness.call("GET", "/apps/shop")).status).toBe(404);
    await client.close();
  });

  test("reads what is wrong as the result of the tool", async () => {
    const client = await connect();
    expect(await call(client, "appInfo", { app: "no-such" })).toMatchObject({
      json: { id: "not_found" },
      isError: true,
    });
    expect(await call(client, "appInfo", {})).toMatchObject({
      json: { id: "invalid_params", errors: [{ pointer: "/app" }] },
      isError: true,
    });
    expect(await call(client, "appInfo", { app: "a", colour: "red" })).toMatchObject({
      json: { errors: [{ pointer: "/colour" }] },
      isError: true,
    });
    expect(await call(client, "appList", { range: "name\r\nX-Evil: 1" })).toMatchObject({
      json: { errors: [{ pointer: "/range" }] },
      isError: true,
    });
    // An id is one segment of the path, whatever is in it.
    expect(await call(client, "appInfo", { app: "../account?x=1#" })).toMatchObject({
      json: { id: "not_found" },
      isError: true,
    });
    await expect(client.callTool({ name: "no-such" })).rejects.toThrow(/There is no tool/);
    await client.close();
  });

  test("has the rights of its token and no other", async () => {
    await harness.call("POST", "/apps", { name: "shop" });
    const client = await connect(await harness.api.createToken({ scope: ["read"] }));
    const { tools } = await client.listTools();
    const names = tools.map(({ name }) => name);
    expect(names).toContain("appInfo");
    expect(names).not.toContain("appDelete");
    expect(names).not.toContain("configVarInfoForApp");
    expect(await call(client, "appDelete", { app: "shop" })).toMatchObject({
      json: { id: "forbidden" },
      isError: true,
    });
    expect((await harness.call("GET", "/apps/shop")).status).toBe(200);
    await client.close();
  });
});

describe("POST /mcp", () => {
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const tool = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "appList" } };

  test("wants a token, not a cookie, for everything", async () => {
    for (const body of [list, tool, { jsonrpc: "2.0", method: "notifications/initialized" }]) {
      expect((await post(body, { Authorization: "" })).status).toBe(401);
      expect((await post(body, { Authorization: "Bearer wrong" })).status).toBe(401);
      expect((await post(body, { Authorization: "", Cookie: "session=x" })).status).toBe(401);
    }
  });

  test("refuses pages of other origins", async () => {
    expect((await post(list, { Origin: "https://evil.test" })).status).toBe(403);
    expect((await post(list, { Origin: "null" })).status).toBe(403);
    expect((await post(list, { Origin: new URL(url).origin })).status).toBe(200);
  });

  test("answers as JSON-RPC says", async () => {
    const code = async (body: unknown) => (await json(await post(body))).error.code;
    expect(await code([list])).toBe(-32600);
    expect(await code({ id: 1, method: "ping" })).toBe(-32600);
    expect(await code({ ...list, method: "no/such" })).toBe(-32601);
    expect(await code({ ...tool, params: { name: "__proto__" } })).toBe(-32602);
    expect(await code({ ...tool, params: {} })).toBe(-32602);
    expect(await (await post({ jsonrpc: "2.0", id: "a", method: "ping" })).json()).toEqual({
      jsonrpc: "2.0",
      id: "a",
      result: {},
    });
    const note = await post({ jsonrpc: "2.0", method: "notifications/initialized" });
    expect([note.status, await note.text()]).toEqual([202, ""]);
    expect((await fetch(url, { headers: { Accept: "text/event-stream" } })).status).toBe(405);
    const old = { protocolVersion: "2025-03-26", capabilities: {}, clientInfo: {} };
    const version = async (params: object) =>
      (await json(await post({ ...list, method: "initialize", params }))).result.protocolVersion;
    expect(await version(old)).toBe("2025-03-26");
    expect(await version({ ...old, protocolVersion: "1999-01-01" })).toBe("2025-11-25");
  });
});
