import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ownerOf, type Place, placeOf, takePlace } from "../../src/local/place.ts";

let home: string;
let place: Place;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "dk-place-"));
  place = placeOf("/some/project", { XDG_RUNTIME_DIR: home, XDG_STATE_HOME: home });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const record = (text: string) => {
  mkdirSync(dirname(place.record), { recursive: true, mode: 0o700 });
  writeFileSync(place.record, text);
};

test("one at a time, and free again afterwards", () => {
  const giveBack = takePlace(place);
  expect(ownerOf(place)?.pid).toBe(process.pid);
  expect(() => takePlace(place)).toThrow(/runs here already \(pid/);
  giveBack();
  expect(readdirSync(dirname(place.record))).toEqual([]);
  takePlace(place)();
});

test("an owner that is gone is replaced, its socket removed", async () => {
  const child = spawn("true");
  await once(child, "exit");
  record(JSON.stringify({ pid: child.pid, began: "1" }));
  writeFileSync(place.socket, "");
  expect(ownerOf(place)).toBeUndefined();
  const giveBack = takePlace(place);
  expect(existsSync(place.socket)).toBe(false);
  giveBack();
});

test("a process that has the owner's number but began at another time is not the owner", () => {
  record(JSON.stringify({ pid: process.pid, began: "1" }));
  takePlace(place)();
});

test("half a record is no owner", () => {
  record('{"pid": 12');
  takePlace(place)();
});

test("a directory that others may enter is refused", () => {
  record("");
  chmodSync(dirname(place.record), 0o755);
  expect(() => takePlace(place)).toThrow(/yours alone/);
});

test("the path of the socket stays short enough for the system", () => {
  const { socket } = placeOf(`/${"deep/".repeat(100)}`, { XDG_RUNTIME_DIR: "/run/user/1000" });
  expect(socket.length).toBeLessThan(100);
});
