import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Answer, startReceiver } from "../drain/receiver.ts";
import { advanceUntil, expectBalanced, setup } from "../drain/setup.ts";

describe("a receiver that comes and goes", () => {
  const ways: readonly Answer[] = [
    200,
    200,
    200,
    500,
    503,
    { status: 429, headers: { "Retry-After": "1" } },
    { status: 302, headers: { Location: "https://elsewhere.example.com/" } },
    (_request, _response, socket) => socket.destroy(),
    (_request, response) => {
      response.writeHead(200).flushHeaders();
      response.destroy();
    },
    (_request, _response, socket) => socket.end("nonsense\r\n\r\n"),
  ];

  it("gets everything at least once and in order, and the account agrees at every moment", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(ways.length - 1), { minLength: 5, maxLength: 40 }),
        fc.integer({ min: 1, max: 40 }),
        async (script, perTurn) => {
          const receiver = await startReceiver();
          receiver.script(...script.map((one) => ways[one]!), 200);
          const all = setup();
          const { id } = await all.drains.add("app", `http://127.0.0.1:${receiver.port}/`, {
            batch: { lingerMs: 0, messages: 25 },
          });
          let written = 0;
          for (let turn = 0; turn < 10; turn++) {
            const texts = Array.from({ length: perTurn }, () => `line ${++written}`);
            all.source.append(...texts);
            expectBalanced(all.drains.ledger(id));
            for (let step = 0; step < 5; step++) {
              await new Promise((resolve) => setImmediate(resolve));
              expectBalanced(all.drains.ledger(id));
            }
            all.clock.advance(300);
          }
          await advanceUntil(all, () => all.drains.ledger(id).pending === 0, 500);
          const ledger = all.drains.ledger(id);
          expectBalanced(ledger);
          expect(ledger).toMatchObject({ received: written, delivered: written, lostTotal: 0 });
          // Of repeats the first arrival counts; between first arrivals the order holds.
          const firsts = [
            ...new Set(
              receiver.requests.flatMap(({ body }) =>
                [...body.toString().matchAll(/ - line (\d+)\n/g)].map((found) => Number(found[1])),
              ),
            ),
          ];
          expect(firsts).toEqual(Array.from({ length: written }, (_, index) => index + 1));
          await all.drains.close({ timeoutMs: 0 });
          await receiver.close();
        },
      ),
      { numRuns: 15 },
    );
  });
});
