import { randomUUID } from "node:crypto";
import { Client } from "./pg.ts";

const url = process.env["DYNOKIT_TEST_POSTGRES"];
const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("postgres");

if (url === undefined && required)
  throw new Error(
    "DYNOKIT_REQUIRE names postgres: set DYNOKIT_TEST_POSTGRES to a postgres:// URL.",
  );

/** A store engine that the same tests run on. */
export interface Engine {
  /** Carries the missing component and the reason when it can't run here. */
  readonly name: string;
  readonly skip: boolean;
  /** A fresh place for a store; the embedded one lives in the directory of the harness. */
  open(): Promise<{ readonly location: string | undefined; drop(): Promise<void> }>;
}

async function admin(
  run: (client: InstanceType<typeof Client>) => Promise<unknown>,
): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await run(client);
  } finally {
    await client.end();
  }
}

export const libsql: Engine = {
  name: "libsql",
  skip: false,
  open: async () => ({ location: undefined, drop: async () => {} }),
};

export const postgres: Engine = {
  name: url === undefined ? "postgres (skipped: DYNOKIT_TEST_POSTGRES is not set)" : "postgres",
  skip: url === undefined,
  open: async () => {
    const name = `dynokit_api_${randomUUID().replaceAll("-", "")}`;
    await admin((client) => client.query(`create database ${name}`));
    const location = new URL(url ?? "");
    location.pathname = `/${name}`;
    return {
      location: location.href,
      drop: () => admin((client) => client.query(`drop database if exists ${name} with (force)`)),
    };
  },
};

export const engines: readonly Engine[] = [libsql, postgres];
