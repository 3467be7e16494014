import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { DrainOptions, DrainSetOptions, LedgerView } from "../../src/drain/index.ts";
import { DRAIN_BUFFER } from "../../src/drain/intake.ts";
import { makeCertificate } from "../drain/certificates.ts";
import { parseFrames, type Receiver, startReceiver, until } from "../drain/receiver.ts";
import { advanceUntil, expectBalanced, LOCAL, type Setup, setup } from "../drain/setup.ts";

const ID = "0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";
const TOKEN = `d.${ID}`;
const LINES = 30;

/** A receiver that fails, a drain to it, and the time of both. */
interface World {
  receiver: Receiver;
  readonly all: Setup;
  readonly directory: string;
  readonly start: number;
  readonly slow: ServerResponse[];
}

interface Fault {
  readonly name: string;
  readonly settings?: (
    directory: string,
  ) => Pick<Partial<DrainSetOptions>, "policy" | "resolve" | "spool"> & { capacity?: number };
  readonly options?: DrainOptions;
  /** Makes the receiver fail; returns the URL of the drain if it is not the receiver's. */
  readonly prepare: (world: World) => string | undefined | Promise<string | undefined>;
  /** What to write besides the first lines. */
  readonly write?: (world: World) => void;
  /** Until the fault has had its effect; default: the first try failed. */
  readonly met?: (world: World) => boolean;
  readonly heal?: (world: World) => void | Promise<void>;
  /** How far time moves at a step, ms. */
  readonly step?: number;
  /** What the account says in the end; default: everything is delivered. */
  readonly lost?: (ledger: LedgerView, world: World) => void;
  readonly after?: (world: World) => void;
}

const certificate = makeCertificate("IP:127.0.0.1");
const failed = ({ all }: World) => all.drains.health(ID).lastError !== undefined;

const FAULTS: readonly Fault[] = [
  {
    name: "refuses connections",
    async prepare(world) {
      const { port } = world.receiver;
      await world.receiver.close();
      return `http://127.0.0.1:${port}/`;
    },
    met: ({ all }) => all.drains.health(ID).state === "open",
    async heal(world) {
      world.receiver = await startReceiver(undefined, world.receiver.port);
    },
    after: ({ all }) => expect(all.states).toContain("degraded>open"),
  },
  {
    name: "hangs in the middle of the head of its answer",
    prepare({ receiver }) {
      const half = "HTTP/1.1 200 OK\r\nContent-";
      receiver.script((_request, _response, socket) => socket.write(half), 200);
    },
    after: ({ all, receiver }) => {
      expect(receiver.requests).toHaveLength(2);
      expect(all.drains.health(ID).lastError?.reason).toBe("no reply in time");
    },
  },
  {
    name: "hangs in the middle of the body of its answer",
    prepare({ receiver }) {
      receiver.script((_request, response) => {
        response.writeHead(200, { "content-length": "1000" }).write("half");
      });
    },
    met: ({ receiver }) => receiver.requests.length === 1,
    // What a 200 says after its head plays no part.
    after: ({ receiver }) => expect(receiver.requests).toHaveLength(1),
  },
  {
    name: "answers 200 slowly, but in time",
    prepare({ receiver, slow }) {
      receiver.script((_request, response) => void slow.push(response));
    },
    met: ({ slow, all, start }) => slow.length === 1 && all.clock.now() - start >= 4500,
    step: 500,
    heal: ({ slow }) => void slow[0]?.end(),
    after: ({ receiver, all }) => {
      expect(receiver.requests).toHaveLength(1);
      expect(all.drains.health(ID).lastError).toBeUndefined();
    },
  },
  {
    name: "answers 429 with Retry-After",
    prepare({ receiver }) {
      receiver.script({ status: 429, headers: { "retry-after": "30" } }, 200);
    },
    met: ({ all }) => all.drains.health(ID).nextTryAt !== undefined,
    after: ({ all, start, receiver }) => {
      expect(receiver.requests).toHaveLength(2);
      expect(all.clock.now() - start).toBeGreaterThanOrEqual(30_000);
      expect(all.clock.now() - start).toBeLessThan(32_000);
    },
  },
  {
    name: "answers 413 to large batches",
    prepare({ receiver }) {
      receiver.script((request, response) => {
        response.writeHead(request.body.length > 600 ? 413 : 200).end();
      });
    },
    met: ({ receiver }) => receiver.requests.length > 1,
    after: ({ receiver }) => expect(receiver.requests.length).toBeGreaterThan(4),
  },
  {
    name: "answers 413 to one message alone",
    prepare({ receiver }) {
      receiver.script((request, response) => {
        response.writeHead(request.body.length > 3000 ? 413 : 200).end();
      });
    },
    write: ({ all }) => void all.source.append("B".repeat(5000), "behind it"),
    met: ({ receiver }) => receiver.requests.length > 1,
    lost: (ledger) => {
      expect(ledger.lost).toEqual({ "too-large": 1 });
      expect(ledger.delivered).toBe(LINES + 1);
    },
  },
  {
    name: "answers 500 for an hour",
    prepare(world) {
      const { all, receiver } = world;
      receiver.script(500);
      // A line a minute, so that messages of every age meet the limit.
      let timer = all.clock.setTimeout(tick, 60_000);
      function tick() {
        all.source.append(`minute ${Math.round((all.clock.now() - world.start) / 60_000)}`);
        if (all.clock.now() - world.start < 3_600_000) timer = all.clock.setTimeout(tick, 60_000);
        else all.clock.clearTimeout(timer);
      }
    },
    met: ({ all, start }) => all.clock.now() - start >= 3_600_000,
    step: 15_000,
    heal: ({ receiver }) => receiver.script(200),
    lost: (ledger) => {
      expect(ledger.received).toBe(LINES + 60);
      expect(ledger.lost["expired"]).toBeGreaterThanOrEqual(LINES + 15);
      expect(ledger.delivered).toBeGreaterThanOrEqual(10);
      expect(Object.keys(ledger.lost)).toEqual(["expired"]);
    },
    after: ({ receiver }) => {
      expect(receiver.lines().at(-1)).toBe("minute 60");
      const [notice] = receiver.lines().filter((line) => line.startsWith("Error L10"));
      expect(notice).toMatch(/: \d+ messages dropped since /);
    },
  },
  {
    name: "closes after the head of its answer",
    prepare({ receiver }) {
      receiver.script((_request, response, socket) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("x", () => socket.destroy());
      });
    },
    met: ({ receiver }) => receiver.requests.length === 1,
  },
  {
    name: "closes after a head that is no success",
    prepare({ receiver }) {
      receiver.script((_request, response, socket) => {
        response.writeHead(503, { "content-length": "1000" });
        response.write("x", () => socket.destroy());
      }, 200);
    },
  },
  {
    name: "closes before any answer",
    prepare({ receiver }) {
      receiver.script((_request, _response, socket) => socket.destroy(), 200);
    },
  },
  {
    name: "presents a bad certificate",
    async prepare(world) {
      await world.receiver.close();
      world.receiver = await startReceiver(certificate);
      return `https://127.0.0.1:${world.receiver.port}/`;
    },
    met: ({ all }) => all.notices.some(({ code }) => code === "L14"),
    async heal({ all, receiver }) {
      expect(receiver.requests).toHaveLength(0);
      await all.drains.update(ID, { options: { tls: { ca: certificate.cert } } });
    },
  },
  {
    name: "resolves to a private address",
    settings: () => ({
      policy: { allowInsecure: true },
      resolve: async () => [{ address: "10.0.0.7", family: 4 }],
    }),
    prepare: ({ receiver }) => `http://rebound.test:${receiver.port}/`,
    met: ({ all }) => all.drains.health(ID).state === "held",
    step: 30_000,
    lost: (ledger) => {
      expect(ledger.lost).toEqual({ blocked: LINES });
      expect(ledger.delivered).toBe(0);
    },
    after: ({ receiver, all }) => {
      expect(receiver.connections).toBe(0);
      expect(all.notices[0]?.text).toMatch(/^Error L16 \(drain rejected\): .* private/);
    },
  },
  ...(existsSync("/dev/full")
    ? [
        {
          name: "is away while the disk for the spool is full",
          settings: (directory: string) => ({
            spool: { directory },
            capacity: DRAIN_BUFFER.messages,
          }),
          options: { onFull: "spool" } as const,
          prepare({ receiver }: World): undefined {
            receiver.script(() => undefined, 200);
          },
          write({ all, directory }: World) {
            const folder = join(directory, ID);
            mkdirSync(folder, { recursive: true });
            // Wherever the first segment begins, its octets meet ENOSPC.
            for (let seq = 1; seq <= LINES + 1; seq += 1)
              symlinkSync("/dev/full", join(folder, `${String(seq).padStart(16, "0")}.log`));
            const half = DRAIN_BUFFER.messages / 2;
            all.source.append(...Array.from({ length: half }, (_, index) => `more ${index}`));
            rmSync(folder, { recursive: true });
            all.source.append("after");
          },
          lost(ledger: LedgerView) {
            const { lost, delivered } = ledger;
            expect(Object.keys(lost)).toEqual(["spool"]);
            expect(lost["spool"]).toBeGreaterThanOrEqual(DRAIN_BUFFER.messages / 2);
            expect(delivered).toBeGreaterThan(0);
          },
          after: ({ receiver }: World) => expect(receiver.lines().at(-1)).toBe("after"),
        },
      ]
    : []),
];

describe("received = delivered + lost + pending, at every moment, when the receiver", () => {
  it.each(FAULTS)("$name", async (fault) => {
    const directory = mkdtempSync(join(tmpdir(), "logplex-fault-"));
    const all = setup({ policy: LOCAL, ...fault.settings?.(directory) });
    const receiver = await startReceiver();
    const world: World = { receiver, all, directory, start: all.clock.now(), slow: [] };
    /** The account at this moment, after checking it. */
    const account = (): LedgerView => {
      const ledger = all.drains.ledger(ID);
      expectBalanced(ledger);
      expect(ledger.received).toBe(ledger.delivered + ledger.lostTotal + ledger.pending);
      return ledger;
    };
    const advance = (condition: () => boolean) =>
      advanceUntil(
        all,
        () => {
          account();
          return condition();
        },
        fault.step ?? 250,
        7_200_000,
      );
    try {
      const url = (await fault.prepare(world)) ?? `http://127.0.0.1:${receiver.port}/`;
      await all.drains.add("app", url, { id: ID, token: TOKEN, ...fault.options });
      all.source.append(...Array.from({ length: LINES }, (_, index) => `line ${index + 1}`));
      account();
      fault.write?.(world);
      account();
      await advance(() => (fault.met ?? failed)(world));
      await fault.heal?.(world);
      account();
      await advance(() => account().pending === 0);
      const ledger = account();
      if (fault.lost) fault.lost(ledger, world);
      else {
        expect(ledger).toMatchObject({ received: LINES, delivered: LINES, lostTotal: 0 });
        const seen = new Set(
          world.receiver.requests
            .flatMap(({ body }) => parseFrames(body))
            .map((frame) => /line \d+/.exec(frame)?.[0]),
        );
        expect(seen.size).toBe(LINES);
      }
      fault.after?.(world);
    } finally {
      await all.drains.close({ timeoutMs: 0 });
      await world.receiver.close();
      rmSync(directory, { recursive: true, force: true });
    }
    expect(all.clock.timers).toBe(0);
  });

  it("waits while the process is killed in the middle of a batch", async () => {
    const directory = mkdtempSync(join(tmpdir(), "logplex-fault-"));
    const receiver = await startReceiver();
    const script = fileURLToPath(new URL("../drain/crash-child.ts", import.meta.url));
    const start = () =>
      spawn(
        process.execPath,
        [
          ...["--conditions=@dynokit/source", "--import", "tsx", script],
          ...[String(receiver.port), directory, ID, TOKEN, String(LINES)],
        ],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
    try {
      receiver.script(200, () => undefined);
      const first = start();
      await until(() => receiver.requests.length === 2, "a second request");
      first.kill("SIGKILL");
      await once(first, "exit");
      // What the dead process left written down is an account that agrees as well.
      const record = JSON.parse(readFileSync(join(directory, `${ID}.json`), "utf8"));
      const { received, delivered, filtered, lost } = record.ledger as LedgerView;
      const gone = Object.values(lost).reduce((sum, count) => sum + count, 0);
      const boundaries = record.boundaries as { firstSeq: number; lastSeq: number }[];
      const inFlight = boundaries.reduce((sum, one) => sum + one.lastSeq - one.firstSeq + 1, 0);
      const unread = record.seenSeq - record.readSeq;
      expect(inFlight).toBeGreaterThan(0);
      expect(delivered + gone + filtered + inFlight + unread).toBe(received);
      receiver.script(200);
      const second = start();
      let out = "";
      second.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
      await once(second, "close");
      const ledger = JSON.parse(out) as LedgerView;
      expectBalanced(ledger);
      expect(ledger).toMatchObject({ received: LINES, delivered: LINES, lostTotal: 0, pending: 0 });
      const seen = new Set(
        receiver.requests
          .flatMap(({ body }) => parseFrames(body))
          .map((frame) => /line \d+/.exec(frame)?.[0]),
      );
      expect(seen.size).toBe(LINES);
    } finally {
      await receiver.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
