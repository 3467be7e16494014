import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** The part of a ClickHouse server that qryn writes to: it keeps the rows that are inserted. */
export interface RowStore {
  readonly port: number;
  /** Rows of a table, in the order in which they came. */
  rows(table: string): readonly Record<string, unknown>[];
  close(): Promise<void>;
}

export async function startRowStore(): Promise<RowStore> {
  const tables = new Map<string, Record<string, unknown>[]>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const query = new URL(request.url ?? "", "http://x").searchParams.get("query") ?? "";
      const table = /^INSERT INTO \S+?\.(\w+)/.exec(query)?.[1];
      if (table !== undefined) {
        const lines = Buffer.concat(chunks).toString().trimEnd().split("\n");
        const rows = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
        tables.set(table, [...(tables.get(table) ?? []), ...rows]);
      }
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ meta: [], data: [], rows: 0 }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    rows: (table) => tables.get(table) ?? [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
