import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openLocalAuthority } from "../../src/edge/local-authority.ts";

const DAY = 86_400_000;

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "dynokit-edge-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe("the local certificate authority", () => {
  it("makes a CA and a leaf for the local names at the first start", async () => {
    const authority = await openLocalAuthority({
      directory: await directory(),
      names: ["localhost.paas.test", "10.0.0.7"],
    });
    const ca = new X509Certificate(authority.caPem);
    expect(ca.ca).toBe(true);
    expect(await readFile(authority.caPath, "utf8")).toBe(authority.caPem);
    const { cert, key } = await authority.certificate(undefined);
    const leaf = new X509Certificate(cert);
    expect(leaf.ca).toBe(false);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkIssued(ca)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(leaf.checkHost("localhost")).toBe("localhost");
    expect(leaf.checkHost("localhost.paas.test")).toBe("localhost.paas.test");
    for (const ip of ["127.0.0.1", "::1", "10.0.0.7"]) expect(leaf.checkIP(ip), ip).toBeTruthy();
    expect(leaf.checkHost("example.com")).toBeUndefined();
  });

  it("keeps the CA and the leaf over restarts, readable by their owner alone", async () => {
    const path = await directory();
    const first = await openLocalAuthority({ directory: path });
    const second = await openLocalAuthority({ directory: path });
    expect(second.caPem).toBe(first.caPem);
    expect(await second.certificate("localhost")).toEqual(await first.certificate("localhost"));
    for (const name of ["authority.pem", "leaf.pem"])
      expect((await stat(join(path, name))).mode & 0o777, name).toBe(0o600);
    expect((await stat(first.caPath)).mode & 0o777).toBe(0o644);
  });

  it("is one authority even when two processes start at once", async () => {
    const path = await directory();
    const all = await Promise.all([1, 2, 3].map(() => openLocalAuthority({ directory: path })));
    expect(new Set(all.map(({ caPem }) => caPem)).size).toBe(1);
    const { cert } = await openLocalAuthority({ directory: path }).then((a) => a.certificate(""));
    expect(new X509Certificate(cert).verify(new X509Certificate(all[0]!.caPem).publicKey)).toBe(
      true,
    );
  });

  it("makes a new leaf before the old one ends and when the names change", async () => {
    const path = await directory();
    let now = Date.now();
    const authority = await openLocalAuthority({ directory: path, now: () => now });
    const first = await authority.certificate("localhost");
    now += 360 * DAY;
    expect(await authority.certificate("localhost")).toBe(first);
    now += 10 * DAY;
    const second = await authority.certificate("localhost");
    expect(second.cert).not.toBe(first.cert);
    expect(Date.parse(new X509Certificate(second.cert).validTo)).toBeGreaterThan(now + 390 * DAY);
    const other = await openLocalAuthority({ directory: path, names: ["x.test"], now: () => now });
    expect(new X509Certificate((await other.certificate("x.test")).cert).checkHost("x.test")).toBe(
      "x.test",
    );
    expect(other.caPem).toBe(authority.caPem);
  });

  it("says what to do about a broken authority and repairs a broken leaf", async () => {
    const path = await directory();
    await openLocalAuthority({ directory: path });
    await writeFile(
      join(path, "leaf.pem"),
      "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nx",
    );
    await openLocalAuthority({ directory: path });
    await writeFile(join(path, "leaf.pem"), "nothing");
    await openLocalAuthority({ directory: path });
    await writeFile(join(path, "authority.pem"), "nothing");
    await expect(openLocalAuthority({ directory: path })).rejects.toThrow(/delete it to get a new/);
  });
});
