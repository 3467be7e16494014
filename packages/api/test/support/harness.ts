import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Api, type ApiOptions, createApi, openStore, type Store } from "../../src/index.ts";
import { FakeBuilder, FakeLogplex, FakeManifold, FakeRoutes } from "./fakes.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of many shapes.
  readonly json: any;
  readonly text: string;
}

/** The API over fakes, driven without sockets. */
export class Harness {
  readonly manifold = new FakeManifold();
  readonly routes = new FakeRoutes();
  readonly logplex = new FakeLogplex();
  readonly builder = new FakeBuilder();
  readonly directory: string;
  readonly #location: string | undefined;
  api!: Api;
  store!: Store;
  token = "";
  options: Partial<ApiOptions> = {};
  /** What the platform logged as errors, so that a 500 says why. */
  readonly errors: string[] = [];

  constructor(location?: string) {
    this.directory = mkdtempSync(join(tmpdir(), "dynokit-api-"));
    this.#location = location;
  }

  async start(options: Partial<ApiOptions> = {}, directory = this.directory): Promise<this> {
    this.options = options;
    this.store = await openStore(this.#location ?? directory, { directory });
    this.api = await createApi({
      store: this.store,
      manifold: this.manifold,
      routes: this.routes,
      logplex: this.logplex,
      builder: this.builder,
      appDomain: "apps.test",
      publicUrl: "http://api.test",
      strict: true,
      logger: {
        debug: () => {},
        info: () => {},
        warn: () => {},
        error: (...parts: unknown[]) => void this.errors.push(JSON.stringify(parts)),
      },
      ...options,
    });
    this.token = await this.api.createToken();
    return this;
  }

  /** Ends the API as it is and starts another over the same store. */
  async restart(): Promise<void> {
    await this.api.close();
    await this.store.close();
    await this.start(this.options);
  }

  async close(): Promise<void> {
    await this.api?.close();
    await this.store?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    token: string | null = this.token,
  ): Promise<Answer> {
    const response = await this.api.fetch(
      new Request(path.startsWith("http") ? path : `http://api.test${path}`, {
        method,
        headers: {
          accept: "application/vnd.heroku+json; version=3",
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    const json =
      /json/.test(response.headers.get("content-type") ?? "") && text !== ""
        ? JSON.parse(text)
        : undefined;
    return { status: response.status, headers: response.headers, text, json };
  }

  async app(name: string): Promise<string> {
    const created = await this.call("POST", "/apps", { name });
    if (created.status !== 201) throw new Error(created.text);
    return created.json.id as string;
  }

  /** Uploads process types as "source", builds them and waits for the end. */
  async deploy(
    name: string,
    processTypes: Record<string, string>,
    version = "abcdef1234",
  ): Promise<Answer["json"]> {
    const { source_blob: blob } = (await this.call("POST", "/sources")).json;
    const put = await this.call("PUT", blob.put_url, JSON.stringify(processTypes), {}, null);
    if (put.status !== 200) throw new Error(put.text);
    const build = await this.call("POST", `/apps/${name}/builds`, {
      source_blob: { url: blob.get_url, version },
    });
    if (build.status !== 201) throw new Error(build.text);
    await this.api.platform.settled();
    return (await this.call("GET", `/apps/${name}/builds/${build.json.id}`)).json;
  }
}
