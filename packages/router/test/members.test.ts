import fc from "fast-check";
import { expect, test } from "vitest";
import { type Member, Members } from "../src/forward/members.ts";
import type { EndedRequest, Observed } from "../src/forward/observer.ts";
import { RecentRequests } from "../src/forward/recent-requests.ts";

test("members enter and leave as in a set", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (steps) => {
      const pool: Member[] = Array.from({ length: 21 }, () => ({ memberIndex: -1 }));
      const members = new Members<Member>();
      const model = new Set<Member>();
      for (const step of steps) {
        const member = pool[step] as Member;
        if (model.has(member)) {
          model.delete(member);
          expect(members.delete(member)).toBe(true);
          expect(members.delete(member)).toBe(false);
        } else {
          model.add(member);
          members.add(member);
        }
        expect(members.size).toBe(model.size);
        expect(new Set(members)).toEqual(model);
      }
    }),
  );
});

function ended(requestId: string, status: number): [Observed, EndedRequest] {
  const exchange = { startedEpoch: 5, queueMs: 0, connectMs: 1, firstByteMs: 2, attempts: [] };
  const record = { requestId, status, app: "app", code: null, cause: null, phase: "done" };
  return [exchange as unknown as Observed, record as unknown as EndedRequest];
}

test("recent requests are found by ids of any length, the newest first, ten thousand at most", () => {
  const recent = new RecentRequests();
  const long = "a".repeat(200);
  recent.add(...ended("first-of-all-requests", 200), 1);
  recent.add(...ended(long, 201), 1);
  recent.add(...ended("twice-the-same-request-id", 202), 1);
  recent.add(...ended("twice-the-same-request-id", 203), 7);
  expect(recent.find("first-of-all-requests")).toMatchObject({ status: 200, attempts: [] });
  expect(recent.find(long)).toMatchObject({ requestId: long, status: 201 });
  expect(recent.find("twice-the-same-request-id")).toMatchObject({ status: 203, totalMs: 7 });
  expect(recent.find("a".repeat(199))).toBeUndefined();
  expect(recent.find("first-of-all-request!")).toBeUndefined();
  for (let i = 0; i < 9_997; i++) recent.add(...ended(`request-number-${i}`, 204), 1);
  expect(recent.find("first-of-all-requests")).toBeUndefined();
  expect(recent.find(long)).toMatchObject({ status: 201 });
  recent.add(...ended("the-next-takes-the-place-of-the-long-one", 205), 1);
  expect(recent.find(long)).toBeUndefined();
  expect(recent.find("request-number-0")).toMatchObject({ status: 204 });
});
