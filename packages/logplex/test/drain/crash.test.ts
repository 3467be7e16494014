import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileDrainStore, type LedgerView } from "../../src/drain/index.ts";
import { parseFrames, type Receiver, startReceiver, until } from "./receiver.ts";
import { advanceUntil, delivered, expectBalanced, setup } from "./setup.ts";

const ID = "0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
const TOKEN = `d.${ID}`;

let receiver: Receiver;
let directory: string;

beforeEach(async () => {
  receiver = await startReceiver();
  directory = await mkdtemp(join(tmpdir(), "dynokit-drain-"));
});

afterEach(async () => {
  await receiver.close();
  await rm(directory, { recursive: true, force: true });
});

function start(count: number): ChildProcess {
  const script = fileURLToPath(new URL("./crash-child.ts", import.meta.url));
  const args = ["--conditions=@dynokit/source", "--import", "tsx", script];
  return spawn(
    process.execPath,
    [...args, String(receiver.port), directory, ID, TOKEN, String(count)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
}

describe("a process killed in the middle of a batch", () => {
  it("is followed by one that sends the same frame under the same id and loses nothing", async () => {
    receiver.script(200, 200, () => undefined);
    const first = start(40);
    await until(() => receiver.requests.length === 3, "third request");
    first.kill("SIGKILL");
    await once(first, "exit");
    expect(receiver.requests).toHaveLength(3);

    receiver.script(200);
    const second = start(40);
    let out = "";
    second.stdout?.on("data", (chunk) => (out += chunk));
    await once(second, "exit");
    const interrupted = receiver.requests[2];
    const repeated = receiver.requests[3];
    expect(repeated?.headers["logplex-frame-id"]).toBe(interrupted?.headers["logplex-frame-id"]);
    expect(repeated?.body.equals(interrupted?.body as Buffer)).toBe(true);
    // What a receiver keeps that drops frames it has seen: every line once, in order.
    const frames = new Map(
      receiver.requests.map((one) => [one.headers["logplex-frame-id"], one.body]),
    );
    const lines = [...frames.values()]
      .flatMap(parseFrames)
      .map((frame) => /line \d+/.exec(frame)?.[0]);
    expect(lines).toEqual(Array.from({ length: 40 }, (_, index) => `line ${index + 1}`));
    const ledger = JSON.parse(out) as LedgerView;
    expect(ledger).toMatchObject({ received: 40, delivered: 40, pending: 0, lostTotal: 0 });
  });
});

describe("records on disk", () => {
  it("carry position and ledger into the next process", async () => {
    const store = fileDrainStore(directory);
    const one = setup({ store });
    const url = `http://127.0.0.1:${receiver.port}/`;
    await one.drains.add("app", url, { id: ID, token: TOKEN });
    one.source.append("a", "b");
    await delivered(one, ID, 2);
    receiver.script(503);
    one.source.append("c", "d");
    await advanceUntil(one, () => one.drains.health(ID).failures > 0, 50);
    const [last] = await one.drains.close({ timeoutMs: 0 });
    expect(last).toMatchObject({ received: 4, delivered: 2, pending: 2 });

    receiver.script(200);
    const two = setup({ store });
    two.source.append("a", "b", "c", "d", "e");
    await two.drains.add("app", url, { id: ID, token: TOKEN });
    await advanceUntil(two, () => two.drains.ledger(ID).pending === 0, 50);
    const ledger = two.drains.ledger(ID);
    expect(ledger).toMatchObject({ received: 5, delivered: 5, lostTotal: 0 });
    expectBalanced(ledger);
    expect(receiver.lines()).toEqual(["a", "b", "c", "d", "e"]);
    await two.drains.remove(ID);
    expect(await readdir(directory)).toEqual([]);
  });

  it("that name messages the channel has no more make exact loss", async () => {
    const store = fileDrainStore(directory, { fsync: false });
    const one = setup({ store });
    receiver.script(503);
    await one.drains.add("app", `http://127.0.0.1:${receiver.port}/`, { id: ID, token: TOKEN });
    one.source.append("a", "b", "c");
    await until(() => one.drains.health(ID).failures > 0);
    one.source.append("d");
    await one.drains.close({ timeoutMs: 0 });

    receiver.script(200);
    const two = setup({ store });
    two.source.append("x");
    await two.drains.add("app", `http://127.0.0.1:${receiver.port}/`, { id: ID, token: TOKEN });
    await advanceUntil(two, () => two.drains.ledger(ID).pending === 0, 50);
    const ledger = two.drains.ledger(ID);
    expect(ledger).toMatchObject({ received: 5, delivered: 1, lost: { trimmed: 4 } });
    expectBalanced(ledger);
    expect(receiver.requests.at(-1)?.body.toString()).toContain("4 messages dropped");
    await two.drains.close({ timeoutMs: 0 });
  });

  it("that are damaged count as none", async () => {
    await writeFile(join(directory, `${ID}.json`), '{"version":1,"seenSeq":');
    expect(await fileDrainStore(directory).load(ID)).toBeUndefined();
  });

  it("that can't be written cost crash safety, not delivery", async () => {
    const one = setup({
      store: {
        load: async () => undefined,
        save: () => Promise.reject(new Error("ENOSPC")),
        remove: async () => undefined,
      },
    });
    const { id } = await one.drains.add("app", `http://127.0.0.1:${receiver.port}/`);
    one.source.append("a");
    await delivered(one, id, 1);
    expect(one.drains.health(id).lastError?.reason).toBe("its state could not be saved");
    await one.drains.close({ timeoutMs: 0 });
  });
});
