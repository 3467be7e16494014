import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { CertificateStore, followCertificateFolder, Router, RouteTable } from "@dynokit/router";
import { expect, onTestFinished, test } from "vitest";

const fixture = (name: string) =>
  readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "dynokit-certificates-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("a store follows a folder: pairs come, go, and a bad one leaves what was there", async () => {
  const path = folder();
  writeFileSync(join(path, "app.crt"), fixture("app.crt"));
  writeFileSync(join(path, "app.key"), fixture("app.key"));
  writeFileSync(join(path, "half.crt"), fixture("other.crt"));
  const store = new CertificateStore();
  const errors: string[] = [];
  const following = await followCertificateFolder(store, path, {
    onError: (error, name) => errors.push(`${name} ${(error as { code?: string }).code}`),
  });
  onTestFinished(() => following.close());
  const names = () => store.list().map(({ name }) => name);
  expect(names()).toEqual(["app"]);

  mkdirSync(join(path, "other"));
  writeFileSync(join(path, "other", "fullchain.pem"), fixture("other.crt"));
  writeFileSync(join(path, "other", "privkey.pem"), fixture("other.key"));
  await expect.poll(names, { timeout: 10_000 }).toEqual(["app", "other"]);

  const before = store.find("app.test");
  writeFileSync(join(path, "app.crt"), fixture("other.crt"));
  await expect.poll(() => errors, { timeout: 10_000 }).toContain("app bad-certificate");
  expect(store.find("app.test")).toBe(before);

  rmSync(join(path, "other"), { recursive: true });
  await expect.poll(names, { timeout: 10_000 }).toEqual(["app"]);
  following.close();
  await expect(followCertificateFolder(store, join(path, "none"))).rejects.toThrow(/ENOENT/);
});

test("the end of a certificate is told at 21 days and at 7, once each", () => {
  const store = new CertificateStore();
  store.put("app", { cert: fixture("app.crt"), key: fixture("app.key") });
  const told: number[] = [];
  store.on("expiring", ({ withinDays }) => told.push(withinDays));
  const { validTo } = store.list()[0] as { validTo: number };
  const day = 86_400_000;
  for (const left of [30, 22, 20, 19, 8, 6.9, 3]) store.checkExpiry(validTo - left * day);
  expect(told).toEqual([21, 7]);
  store.put("app", { cert: fixture("app.crt"), key: fixture("app.key") });
  store.checkExpiry(validTo - day);
  expect(told).toEqual([21, 7, 7]);
});

test("a router that listens with certificates looks at their ends", async () => {
  const certificates = new CertificateStore();
  certificates.put("app", { cert: fixture("app.crt"), key: fixture("app.key") });
  const checked: number[] = [];
  certificates.checkExpiry = (now) => void checked.push(now);
  const router = new Router({ routes: new RouteTable() });
  await router.listen({ host: "127.0.0.1", tls: { certificates } });
  expect(checked).toHaveLength(1);
  await router.close({ drainMs: 0 });
  expect(router.inspect().timers).toBe(0);
});

test("a name without a certificate is answered with the alert unrecognized_name", async () => {
  const certificates = new CertificateStore();
  certificates.put("app", { cert: fixture("app.crt"), key: fixture("app.key") });
  const router = new Router({ routes: new RouteTable() });
  onTestFinished(() => router.close({ drainMs: 0 }).then(() => undefined));
  const { port } = await router.listen({
    host: "127.0.0.1",
    tls: { certificates, requireSni: true },
  });
  const raw = connect(port, "127.0.0.1");
  onTestFinished(() => {
    raw.destroy();
  });
  const socket = tlsConnect({ socket: raw, servername: "unknown.test", rejectUnauthorized: false });
  const [error] = await once(socket, "error");
  expect(String((error as Error).message)).toMatch(/unrecognized.name/i);
});
