// Serves the files of a site on $PORT. Settings come from static.json in the app's root:
// root, clean_urls, error_page, https_only, routes ({ "/**": "index.html" }), headers
// ({ "/assets/*": { "Cache-Control": "…" } }).
import { createReadStream, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, sep } from "node:path";

const types = {
  ".avif": "image/avif",
  ".css": "text/css; charset=utf-8",
  ".csv": "text/csv; charset=utf-8",
  ".gif": "image/gif",
  ".htm": "text/html; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".md": "text/markdown; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".mp3": "audio/mpeg",
  ".mp4": "video/mp4",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webm": "video/webm",
  ".webmanifest": "application/manifest+json",
  ".webp": "image/webp",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
  ".xml": "application/xml; charset=utf-8",
};

function fail(message) {
  console.error(` !     ${message}`);
  process.exit(1);
}

function readSettings() {
  if (!existsSync("static.json")) return {};
  let settings;
  try {
    settings = JSON.parse(readFileSync("static.json", "utf8"));
  } catch (error) {
    fail(`static.json is not JSON: ${error.message}`);
  }
  if (settings === null || typeof settings !== "object" || Array.isArray(settings))
    fail("static.json must hold an object");
  return settings;
}

/** `/**` is everything below, `*` everything up to the next slash. */
function matcher(pattern) {
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((part) =>
      part === "**" ? ".*" : part === "*" ? "[^/]*" : part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"),
    )
    .join("");
  const expression = new RegExp(`^${source}$`);
  return (path) => expression.test(path);
}

const settings = readSettings();
const folder = settings.root ?? (existsSync(join("public", "index.html")) ? "public" : ".");
if (typeof folder !== "string" || !existsSync(folder) || !statSync(folder).isDirectory())
  fail(`static.json: there is no directory "${folder}" (root)`);
const root = realpathSync(folder);
const app = realpathSync(".");
if (root !== app && !root.startsWith(app + sep)) fail("static.json: root must be inside the app");
const routes = Object.entries(settings.routes ?? {}).map(([pattern, file]) => ({
  matches: matcher(pattern),
  file: String(file),
}));
const headers = Object.entries(settings.headers ?? {}).map(([pattern, set]) => ({
  matches: matcher(pattern),
  set: Object.entries(set).map(([name, value]) => [name, String(value)]),
}));

if (process.argv[2] === "--check") {
  console.log(`       Serving the directory ${folder === "." ? "of the app" : folder}`);
  process.exit(0);
}

/** The file of a path below the root, through no hidden name and no link that leaves the root. */
function fileOf(path) {
  if (path.split("/").some((part) => part.startsWith(".") && part !== ".well-known"))
    return undefined;
  try {
    const real = realpathSync(join(root, path));
    if (real !== root && !real.startsWith(root + sep)) return undefined;
    const stat = statSync(real);
    if (stat.isDirectory()) return { directory: true };
    return stat.isFile() ? { real, stat } : undefined;
  } catch {
    return undefined;
  }
}

function find(path) {
  const direct = fileOf(path);
  if (direct?.real) return direct;
  if (direct?.directory) {
    const index = fileOf(join(path, "index.html"));
    if (index?.real) return path.endsWith("/") ? index : { redirect: `${path}/` };
  }
  if (settings.clean_urls === true && !path.endsWith("/")) {
    const page = fileOf(`${path}.html`);
    if (page?.real) return page;
  }
  for (const route of routes) if (route.matches(path)) return fileOf(`/${route.file}`);
  return undefined;
}

function rangeOf(request, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const start = match[1] === "" ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === "" || match[2] === "" ? size - 1 : Math.min(size - 1, Number(match[2]));
  return start > end || start >= size ? null : { start, end };
}

function plain(response, status, text, more = {}) {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...more });
  response.end(`${text}\n`);
}

function send(request, response, file, status) {
  const { size, mtimeMs } = file.stat;
  const tag = `"${size.toString(36)}-${Math.trunc(mtimeMs).toString(36)}-${release}"`;
  response.setHeader("etag", tag);
  response.setHeader("accept-ranges", "bytes");
  const type = types[extname(file.real).toLowerCase()] ?? "application/octet-stream";
  if (!response.hasHeader("content-type")) response.setHeader("content-type", type);
  if (!response.hasHeader("cache-control")) response.setHeader("cache-control", "no-cache");
  if (status === 200 && request.headers["if-none-match"] === tag) {
    response.writeHead(304).end();
    return;
  }
  const range = status === 200 ? rangeOf(request, size) : undefined;
  if (range === null) {
    response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    return;
  }
  if (range) response.setHeader("content-range", `bytes ${range.start}-${range.end}/${size}`);
  response.setHeader("content-length", range ? range.end - range.start + 1 : size);
  response.writeHead(range ? 206 : status);
  if (request.method === "HEAD" || size === 0) {
    response.end();
    return;
  }
  const stream = createReadStream(file.real, range ?? {});
  stream.on("error", () => response.destroy());
  response.on("close", () => stream.destroy());
  stream.pipe(response);
}

// Slugs are unpacked with one fixed time, so the release tells new files from old ones.
const release = process.env.HEROKU_RELEASE_VERSION ?? process.pid.toString(36);

const server = createServer((request, response) => {
  if (request.method !== "GET" && request.method !== "HEAD")
    return plain(response, 405, "Method not allowed", { allow: "GET, HEAD" });
  const raw = (request.url ?? "/").split("?")[0];
  let path;
  try {
    path = decodeURIComponent(raw);
  } catch {
    return plain(response, 400, "Bad request");
  }
  if (!path.startsWith("/") || path.includes("\0") || path.split("/").includes(".."))
    return plain(response, 400, "Bad request");
  if (settings.https_only === true && request.headers["x-forwarded-proto"] === "http")
    return plain(response, 301, "Moved", {
      location: `https://${request.headers.host ?? "localhost"}${request.url}`,
    });
  for (const rule of headers)
    if (rule.matches(path)) for (const [name, value] of rule.set) response.setHeader(name, value);
  const found = find(path);
  if (found?.redirect) {
    // Never `//host`, which a browser takes for another site.
    const location = encodeURI(found.redirect).replace(/^\/+/, "/");
    const query = request.url.indexOf("?");
    return plain(response, 301, "Moved", {
      location: query < 0 ? location : location + request.url.slice(query),
    });
  }
  if (found?.real) return send(request, response, found, 200);
  const page = settings.error_page ? fileOf(`/${settings.error_page}`) : undefined;
  if (page?.real) return send(request, response, page, 404);
  return plain(response, 404, "Not found");
});

const port = Number(process.env.PORT);
if (!Number.isInteger(port) || port <= 0) fail("PORT is not set");
server.listen(port, () => console.log(`Serving ${folder} on port ${port}`));
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
