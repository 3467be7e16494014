import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { missing, titled } from "../packages/driver-sandbox/test/support/requirement.ts";
import { eventually, PlatformProcess } from "./support/platform.ts";

const required = (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/);

const engine = process.env["DYNOKIT_TEST_DOCKER"] ?? "/var/run/docker.sock";
const noEngine = existsSync(engine) ? undefined : `docker has no engine at ${engine}`;
if (noEngine !== undefined && required.includes("docker"))
  throw new Error(`docker is required but ${noEngine}`);

const read = (path: string) => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};

/** What tells one platform's left-overs from those of others. */
interface Home {
  readonly data: string;
  /** Of the data directory, as the example makes it. */
  readonly own: string;
}

/** From the first deploy through a `kill -9` to the end of the app and of the platform. */
function life(
  args: readonly string[],
  leftovers: (home: Home) => Promise<readonly string[]>,
  clean: (home: Home) => Promise<void> | void,
): void {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-life-"));
  const data = join(directory, "data");
  const home = { data, own: createHash("sha256").update(data).digest("hex").slice(0, 12) };
  let platform: PlatformProcess;

  const start = async () => {
    platform = await new PlatformProcess(data, args).ready();
  };

  afterAll(async () => {
    await platform.stop();
    await clean(home);
    rmSync(directory, { recursive: true, force: true });
  });

  const dynos = async () =>
    (await platform.api("GET", "/apps/sample/dynos")).json as readonly {
      readonly id: string;
      readonly name: string;
      readonly state: string;
    }[];
  /** Waits for these dynos, all up. */
  const running = (...names: string[]) =>
    eventually(
      dynos,
      (found) =>
        found.every((one) => one.state === "up") &&
        found
          .map(({ name }) => name)
          .toSorted()
          .join() === names.join(),
    );
  const scale = (quantity: number) =>
    platform.api("PATCH", "/apps/sample/formation", { updates: [{ type: "web", quantity }] });
  const visit = async () => {
    const host = `sample.localhost:${platform.routerPort}`;
    return (
      await eventually(
        () => platform.visit(host),
        ({ status }) => status === 200,
      )
    ).text;
  };
  const left = () => leftovers(home);

  test("deploys, scales, is killed, takes everything back, and leaves nothing", async () => {
    await start();
    await running("web.1", "worker.1");
    expect(await visit()).toMatch(/^Hello from dynokit, web\.1 of release v\d+/);
    await scale(2);
    const before = await running("web.1", "web.2", "worker.1");

    await platform.stop("SIGKILL");
    // Who held them is gone, and they are not.
    expect((await left()).length).toBeGreaterThan(0);
    await start();
    const after = await running("web.1", "web.2", "worker.1");
    const ids = (all: typeof before) => all.map(({ id, name }) => `${name} ${id}`).toSorted();
    expect(ids(after)).toEqual(ids(before));
    const answers = new Set<string>();
    await eventually(visit, (text) => answers.add(text).size === 2);

    await scale(1);
    await running("web.1", "worker.1");
    expect((await platform.api("DELETE", "/apps/sample")).status).toBe(200);
    await eventually(left, (all) => all.length === 0);
    expect(await platform.stop()).toBe(0);
    expect(await left()).toEqual([]);
  }, 240_000);
}

describe.skipIf(missing !== undefined)(titled("a platform on sandboxes"), () => {
  const stateOf = ({ data, own }: Home) =>
    process.getuid?.() === 0 ? `/var/lib/dynokit/platform-${own}` : data;
  life(
    ["--driver", "sandbox"],
    async (home) => {
      const state = stateOf(home);
      const kept = ["dynos", "build-dynos"].flatMap((name) =>
        existsSync(join(state, name))
          ? readdirSync(join(state, name)).filter((entry) => !entry.startsWith("."))
          : [],
      );
      // Of whatever kind: supervisors, sandboxes, what runs in them. The platform itself has no mount there.
      const processes = readdirSync("/proc").filter(
        (pid) =>
          /^\d+$/.test(pid) &&
          (read(`/proc/${pid}/cmdline`).includes(`${state}/dynos/`) ||
            read(`/proc/${pid}/mountinfo`).includes(`${state}/`)),
      );
      return [...kept, ...processes];
    },
    (home) => rmSync(stateOf(home), { recursive: true, force: true }),
  );
});

describe.skipIf(noEngine !== undefined)(
  noEngine === undefined
    ? "a platform on containers"
    : `a platform on containers (skipped: ${noEngine})`,
  () => {
    const ask = (method: string, path: string) =>
      new Promise<string>((resolve, reject) => {
        const outgoing = request({ socketPath: engine, method, path }, (incoming) => {
          let text = "";
          incoming.on("data", (chunk: Buffer) => {
            text += chunk;
          });
          incoming.on("end", () => resolve(text));
        });
        outgoing.on("error", reject);
        outgoing.end();
      });
    const containers = async ({ own }: Home) => {
      const filters = JSON.stringify({ label: [`dynokit.platform=${own}`] });
      const text = await ask(
        "GET",
        `/containers/json?all=true&filters=${encodeURIComponent(filters)}`,
      );
      return (JSON.parse(text) as readonly { readonly Id: string }[]).map(({ Id }) => Id);
    };
    // Without an image: one is made of this machine.
    life(["--driver", "docker", "--docker-socket", engine], containers, async (home) => {
      for (const id of await containers(home))
        await ask("DELETE", `/containers/${id}?force=true&v=true`);
    });
  },
);
