import { createRequire } from "node:module";
import type pg from "pg";

// The conditions of the test runner reach require() too, which then finds pg's pool as an ES
// module, which pg is not made for. Its CommonJS file is put where pg looks for it.
const require = createRequire(import.meta.url);
const path = require.resolve("pg-pool");
if (path.endsWith(".mjs")) {
  const exports = require(path.replace(/esm\/index\.mjs$/, "index.js")) as unknown;
  const entry = { id: path, filename: path, loaded: true, exports, children: [], paths: [] };
  require.cache[path] = entry as unknown as NodeJS.Module;
}

/** A client of the test's own. */
export const Client = require("pg/lib/client.js") as typeof pg.Client;
