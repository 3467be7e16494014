import { strict as assert } from "node:assert";
import type { DrainTransport, OutgoingFrame } from "../drain/transport/transport.ts";
import { describeChecks, type KitCheck, type TestRunner } from "./kit.ts";

/** A transport under test and the receiver behind it. */
export interface DrainSubject {
  readonly transport: DrainTransport;
  /** Everything the receiver took, in order. */
  received(): Promise<Buffer>;
  /** Makes the receiver unreachable; connections break. */
  breakReceiver(): Promise<void>;
  /** Makes it reachable again, with what it took before. */
  repairReceiver(): Promise<void>;
  /** Texts that no outcome may show, such as passwords of the URL. */
  readonly secrets: readonly string[];
  /** Releases what the subject holds, after the transport was closed. */
  dispose(): Promise<void>;
}

const live = () => new AbortController().signal;

function frame(number: number, ...lines: string[]): OutgoingFrame {
  const parts = lines.map((line) => Buffer.from(`${line}\n`));
  let end = 0;
  return {
    id: String(number).padStart(32, "0"),
    body: Buffer.concat(parts),
    contentType: "text/plain",
    count: lines.length,
    ends: Uint32Array.from(parts, (part) => (end += part.length)),
  };
}

async function withSubject(
  make: () => DrainSubject | Promise<DrainSubject>,
  body: (subject: DrainSubject) => Promise<void>,
): Promise<void> {
  const subject = await make();
  try {
    await body(subject);
  } finally {
    await subject.transport.close();
    await subject.dispose();
  }
}

async function arrives(subject: DrainSubject, wanted: string): Promise<string> {
  for (let turn = 0; turn < 200; turn++) {
    const text = (await subject.received()).toString("utf8");
    if (text.includes(wanted)) return text;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return (await subject.received()).toString("utf8");
}

/** What every `DrainTransport` promises (docs/guides/drains.md, "A kind of your own"). */
export const drainChecks: readonly KitCheck<DrainSubject>[] = Object.freeze([
  {
    name: "delivers-in-order",
    promise: "frames arrive whole and in the order they were sent",
    run: (make) =>
      withSubject(make, async (subject) => {
        for (const number of [1, 2, 3]) {
          const outcome = await subject.transport.send(
            frame(number, `a${number}`, `b${number} ☕`),
            live(),
          );
          assert.equal(outcome.kind, "delivered", `frame ${number} came to "${outcome.kind}"`);
        }
        const text = await arrives(subject, "b3 ☕");
        const found = text.match(/[ab]\d(?: ☕)?/gu);
        assert.deepEqual(found, ["a1", "b1 ☕", "a2", "b2 ☕", "a3", "b3 ☕"]);
      }),
  },
  {
    name: "never-rejects",
    promise: "a failure is an outcome that is not `delivered`, never a rejection",
    run: (make) =>
      withSubject(make, async (subject) => {
        await subject.breakReceiver();
        let kind: string;
        try {
          kind = (await subject.transport.send(frame(1, "lost"), live())).kind;
        } catch (error) {
          assert.fail(`send rejected with ${String(error)}`);
        }
        assert.notEqual(kind, "delivered", "a broken receiver was reported as delivered");
      }),
  },
  {
    name: "recovers",
    promise: "a send after the receiver came back arrives",
    run: (make) =>
      withSubject(make, async (subject) => {
        await subject.transport.send(frame(1, "first"), live());
        await arrives(subject, "first");
        await subject.breakReceiver();
        await subject.transport.send(frame(2, "during"), live()).catch(() => undefined);
        await subject.repairReceiver();
        for (let attempt = 0; attempt < 5; attempt++) {
          const outcome = await subject.transport
            .send(frame(3, "after"), live())
            .catch(() => undefined);
          if (outcome?.kind === "delivered") break;
        }
        assert.match(await arrives(subject, "after"), /after/);
      }),
  },
  {
    name: "honours-abort",
    promise: "an aborted send ends with `aborted`",
    run: (make) =>
      withSubject(make, async (subject) => {
        await subject.breakReceiver();
        const controller = new AbortController();
        controller.abort();
        const sent = subject.transport
          .send(frame(1, "x"), controller.signal)
          .catch(() => ({ kind: "rejected" }));
        const outcome = await Promise.race([
          sent,
          new Promise<{ kind: string }>((resolve) =>
            setTimeout(resolve, 5000, { kind: "hanging" }).unref(),
          ),
        ]);
        assert.equal(outcome.kind, "aborted");
      }),
  },
  {
    name: "keeps-secrets",
    promise: "no outcome and no preview shows credentials",
    run: (make) =>
      withSubject(make, async (subject) => {
        const shown = [subject.transport.preview(frame(1, "x"))];
        await subject.breakReceiver();
        const outcome = await subject.transport.send(frame(1, "x"), live()).catch(() => undefined);
        shown.push(JSON.stringify(outcome ?? null));
        for (const secret of subject.secrets) {
          assert.ok(!shown.some((text) => text.includes(secret)), "a secret is shown");
        }
      }),
  },
  {
    name: "closes-twice",
    promise: "`close` can be called again and both calls settle",
    run: (make) =>
      withSubject(make, async (subject) => {
        await subject.transport.send(frame(1, "x"), live()).catch(() => undefined);
        await subject.transport.close();
        try {
          await subject.transport.close();
        } catch (error) {
          assert.fail(`the second close rejected with ${String(error)}`);
        }
      }),
  },
]);

/**
 * Registers the checks of a transport as tests.
 *
 * @example
 * describeDrain("queue drain", () => makeSubject(), { describe, it });
 */
export function describeDrain(
  title: string,
  make: () => DrainSubject | Promise<DrainSubject>,
  runner: TestRunner,
): void {
  describeChecks(title, drainChecks, make, runner);
}
