import type { DynoDriver } from "@dynokit/manifold";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seccompFilter } from "../src/seccomp.ts";
import { sandboxKit } from "./support/kit.ts";
import { describeWalls } from "./support/requirement.ts";

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const refusedWith = (errno: number) => 0x00050000 + errno;

interface Call {
  readonly audit: number;
  readonly number: number;
  readonly parameters?: readonly number[];
}

/** What the kernel would make of a call: the few instructions that the filter has. */
function decide(filter: Buffer, { audit, number, parameters = [] }: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(audit, 4);
  for (const [index, value] of parameters.entries()) data.writeUInt32LE(value, 16 + 8 * index);
  let loaded = 0;
  for (let at = 0; at < filter.length / 8; at++) {
    const code = filter.readUInt16LE(at * 8);
    const value = filter.readUInt32LE(at * 8 + 4);
    const jump = (yes: boolean) => filter.readUInt8(at * 8 + (yes ? 2 : 3));
    if (code === 0x20) loaded = data.readUInt32LE(value);
    else if (code === 0x06) return value;
    else if (code === 0x15) at += jump(loaded === value);
    else if (code === 0x35) at += jump(loaded >= value);
    else if (code === 0x45) at += jump((loaded & value) !== 0);
    else throw new Error(`Instruction ${code} is not known`);
  }
  throw new Error("The filter has no end");
}

/** By class, as in the man pages; the numbers are those of <asm/unistd.h>. */
const x64: Readonly<Record<string, readonly number[]>> = {
  "mounts and roots": [155, 165, 166],
  "the new mount calls": [428, 429, 430, 431, 432, 433, 442, 467],
  "memory and descriptors of others": [101, 310, 311, 312, 438],
  namespaces: [272, 308],
  "programs in the kernel": [321, 298, 323],
  keys: [248, 249, 250],
  io_uring: [425, 426, 427],
  "kernel modules": [174, 175, 176, 177, 178, 313],
  "another kernel": [169, 246, 320],
  "the clock": [159, 164, 227, 305],
  "names of the host": [170, 171],
  "swap, quotas and accounting": [163, 167, 168, 179, 443],
  "files by handle": [303, 304],
  "ports of the machine": [172, 173],
  "the kernel's log, terminals and tables": [103, 153, 154],
  "what nobody uses any more": [134, 136, 139, 156, 180, 212],
  "events of a whole file system": [300],
};
const arm64: readonly number[] = [
  ...[18, 39, 40, 41, 42, 58, 60, 89, 97, 104, 105, 106, 112, 116, 117, 142, 161, 162, 170, 171],
  ...[217, 218, 219, 224, 225, 241, 262, 264, 265, 266, 268, 270, 271, 272, 273, 280, 282, 294],
  ...[425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 443, 467],
];

describe("filter of system calls", () => {
  const machines = [
    {
      name: "x64",
      audit: 0xc000003e,
      clone: 56,
      socket: 41,
      ioctl: 16,
      refused: Object.values(x64).flat(),
    },
    { name: "arm64", audit: 0xc00000b7, clone: 220, socket: 198, ioctl: 29, refused: arm64 },
  ];

  it.each(machines)(
    "$name: refuses exactly what is listed",
    ({ name, audit, clone, socket, ioctl, refused }) => {
      const filter = seccompFilter(name) as Buffer;
      const listed = new Set(refused);
      for (let number = 0; number < 600; number++) {
        const expected = listed.has(number)
          ? refusedWith(1)
          : number === 435
            ? refusedWith(38)
            : ALLOW;
        // IPv4 for `socket`; flags without a namespace for `clone`.
        expect(decide(filter, { audit, number, parameters: [2, 0] }), `call ${number}`).toBe(
          expected,
        );
      }
      for (const flags of [0x10000000, 0x10000011, 0x7e020000])
        expect(decide(filter, { audit, number: clone, parameters: [flags] })).toBe(refusedWith(1));
      for (let family = 0; family < 64; family++)
        expect(
          decide(filter, { audit, number: socket, parameters: [family] }),
          `family ${family}`,
        ).toBe([1, 2, 10, 16].includes(family) ? ALLOW : refusedWith(97));
      for (const request of [0x5412, 0x541c])
        expect(decide(filter, { audit, number: ioctl, parameters: [0, request] })).toBe(
          refusedWith(1),
        );
      expect(decide(filter, { audit, number: ioctl, parameters: [0, 0x5413] })).toBe(ALLOW);
    },
  );

  it.each(machines)("$name: lets no other interface of the kernel pass", ({ name, audit }) => {
    const filter = seccompFilter(name) as Buffer;
    const number = fc.integer({ min: 0, max: 0xffff_ffff });
    const others = number.filter((other) => other !== audit);
    fc.assert(
      fc.property(others, number, (other, call) => {
        expect(decide(filter, { audit: other, number: call })).toBe(KILL);
      }),
    );
    if (name !== "x64") return;
    fc.assert(
      fc.property(fc.integer({ min: 0x40000000, max: 0xffff_ffff }), (call) => {
        expect(decide(filter, { audit, number: call })).toBe(refusedWith(38));
      }),
    );
  });

  it("has no list for another machine", () => {
    expect(seccompFilter("ppc64")).toBeUndefined();
  });
});

describeWalls(
  "system calls of a dyno on x86-64",
  (runtime) => {
    let driver: DynoDriver;
    let kit: ReturnType<typeof sandboxKit>;
    let found: Readonly<Record<string, string>>;

    beforeAll(async () => {
      kit = sandboxKit({ runtime });
      driver = kit.make();
      const script =
        'for (@ARGV) { $! = 0; my $said = syscall($_, 0, 0, 0, 0, 0, 0); print "$_ $said ", $! + 0, "\\n" }';
      await driver.start({
        id: "calls",
        command: ["perl", "-e", script, ...Object.values(x64).flat().map(String)],
        env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
        labels: { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" },
      });
      const lines: string[] = [];
      for await (const { bytes } of driver.logs?.("calls") ?? [])
        lines.push(Buffer.from(bytes).toString());
      found = Object.fromEntries(
        lines.map((line) => [line.split(" ")[0], line.slice(line.indexOf(" ") + 1)]),
      );
    });

    afterAll(async () => {
      await driver.wait("calls");
      await driver.destroy("calls");
      await driver.close();
      kit.remove();
    });

    it.each(Object.entries(x64))("refused: %s", (_, numbers) => {
      for (const number of numbers) expect(found[String(number)], `call ${number}`).toBe("-1 1");
    });
  },
  process.arch === "x64" ? undefined : "the numbers are those of x86-64",
);
