import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, PlatformProcess } from "./support/platform.ts";

const executable = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
].find(existsSync);
if (!executable && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("chromium"))
  throw new Error("chromium is required but not installed");
const title = executable
  ? "the web console"
  : "the web console (skipped: chromium is not installed)";

const root = fileURLToPath(new URL("..", import.meta.url));
const artifacts = join(root, "artifacts", "console");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const home = mkdtempSync(join(tmpdir(), "dynokit-console-"));
let platform: PlatformProcess;
let browser: Browser;
let page: Page;
const problems: string[] = [];

async function open(hash: string) {
  await page.goto(`${platform.apiUrl}/console/#${hash}`);
}

/** Every view; with a slash those of the account. */
const tabs = [
  ...["overview", "logs", "traffic", "deploy", "config", "routing", "hooks", "access", "activity"],
  ...["settings", "/pipelines", "/account"],
];

/** Serious accessibility faults of what is on the page now. */
async function faults(): Promise<string[]> {
  await page.evaluate(axe);
  const result = await page.evaluate(() =>
    // biome-ignore lint/suspicious/noExplicitAny: axe puts itself on the window.
    (globalThis as any).axe.run({ resultTypes: ["violations"] }),
  );
  return result.violations
    .filter(({ impact }: { impact: string }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => `${id}: ${nodes[0]?.html}`);
}

describe.skipIf(!executable)(title, { timeout: 60_000 }, () => {
  beforeAll(async () => {
    execFileSync(process.execPath, [join(root, "scripts/build.mjs"), "--fast", "@dynokit/console"]);
    mkdirSync(artifacts, { recursive: true });
    platform = await new PlatformProcess(join(home, "data")).ready();
    browser = await chromium.launch({
      executablePath: executable as string,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
      ],
    });
    page = await browser.newPage();
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      // A refused call is shown to the user; what the page itself got wrong is a fault.
      if (message.type() === "error" && !/status of 4\d\d/.test(message.text()))
        problems.push(message.text());
    });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await platform?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  test("asks for the token, keeps it out of URLs and scripts, and is small", async () => {
    const response = await page.goto(`${platform.apiUrl}/console/`);
    expect(response?.headers()["content-security-policy"]).toContain("default-src 'self'");
    await page.getByLabel("API token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("API token").fill(platform.token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Apps" }).waitFor();
    const cookies = await page.context().cookies();
    const session = cookies.find(({ httpOnly }) => httpOnly);
    expect(session?.sameSite).toBe("Strict");
    expect(session?.value).not.toContain(platform.token);
    expect(page.url()).not.toContain(platform.token);
    expect(await page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")).toBe(
      "{}",
    );
  });

  test("creates an app and deploys an archive to it", async () => {
    await open("/");
    await page.getByPlaceholder("name (optional)").fill("from-console");
    await page.getByRole("button", { name: "Create app" }).click();
    await page.getByRole("link", { name: /from-console/ }).click();
    await page.getByRole("link", { name: "Deploy" }).click();
    const source = join(home, "source");
    mkdirSync(source);
    writeFileSync(join(source, "Procfile"), "web: node web.js\n");
    writeFileSync(
      join(source, "web.js"),
      'require("node:http").createServer((q, r) => { console.log("saw " + q.url); r.end("console"); }).listen(process.env.PORT);',
    );
    execFileSync("tar", ["-czf", join(home, "app.tgz"), "-C", source, "."]);
    await page.locator('input[type="file"]').setInputFiles(join(home, "app.tgz"));
    await page.getByLabel("Build output").getByText("----->").first().waitFor();
    const host = `from-console.localhost:${platform.routerPort}`;
    await eventually(
      () => platform.visit(host),
      ({ status }) => status === 200,
    );
    expect(await faults()).toEqual([]);
  });

  test("scales with a slider after showing what would happen", async () => {
    await open("/apps/from-console");
    const slider = page.getByRole("slider");
    await slider.fill("3");
    await page.getByText("starts web.2, web.3").waitFor();
    await page.getByRole("button", { name: "Scale web=3" }).click();
    await page.getByRole("rowheader", { name: "web.3" }).waitFor();
    await eventually(
      () => page.locator(".state.good").count(),
      (count) => count === 3,
    );
    expect(await faults()).toEqual([]);
  });

  test("edits config with values masked", async () => {
    await open("/apps/from-console/config");
    await page.getByLabel("Key").fill("SECRET");
    await page.getByLabel("Value").fill("hidden-value");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("rowheader", { name: "SECRET" }).waitFor();
    expect(await page.content()).not.toContain(">hidden-value<");
    await page.getByRole("button", { name: "Show SECRET" }).click();
    await page.getByText("hidden-value").waitFor();
    expect(await faults()).toEqual([]);
  });

  test("shows logs as they come, filtered and paused", async () => {
    await open("/apps/from-console/logs");
    await page.getByLabel("Query").fill("source:app dyno:web");
    await page.getByRole("button", { name: "Filter" }).click();
    await platform.visit(`from-console.localhost:${platform.routerPort}`, "/seen-live");
    await page.getByText("saw /seen-live").waitFor();
    await eventually(
      () => page.locator(".line b").allTextContents(),
      (sources) => sources.length > 0 && sources.every((source) => source.startsWith("app[web")),
    );
    await page.getByRole("button", { name: "Pause" }).click();
    await platform.visit(`from-console.localhost:${platform.routerPort}`, "/while-paused");
    await page.getByRole("button", { name: /Resume \(\d+\)/ }).waitFor();
    expect(await page.getByText("saw /while-paused").count()).toBe(0);
    await page.getByRole("button", { name: /Resume/ }).click();
    await page.getByText("saw /while-paused").waitFor();
    expect(await faults()).toEqual([]);
  });

  test("rolls back with one click", async () => {
    await open("/apps/from-console/deploy");
    await page.getByRole("button", { name: /Roll back to v2/ }).click();
    await page.getByText("Rollback to v2").waitFor();
    expect(await faults()).toEqual([]);
  });

  test("drains and maintenance", async () => {
    const receiver = createServer((request, response) => {
      request.resume();
      response.end();
    }).listen(0, "127.0.0.1");
    await once(receiver, "listening");
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/drain`;
    await open("/apps/from-console/hooks");
    await page.getByLabel("Drain URL").fill("http://127.0.0.1:9/drain");
    await page.getByRole("button", { name: "Add drain" }).click();
    await page.getByRole("alert").getByText("port 9 is not allowed").waitFor();
    await page.getByLabel("Drain URL").fill(url);
    await page.getByRole("button", { name: "Add drain" }).click();
    await page.getByRole("button", { name: `Remove drain ${url}` }).waitFor();
    await page.getByRole("button", { name: `Test drain ${url}` }).click();
    await page
      .getByRole("status")
      .getByText(/after \d+ ms/)
      .waitFor();
    await platform.visit(`from-console.localhost:${platform.routerPort}`, "/drained");
    await page.getByText(/healthy.*[1-9]\d* delivered, \d+ pending, 0 lost/).waitFor();
    expect(await faults()).toEqual([]);
    await page.screenshot({ path: join(artifacts, "drain-desktop-light.png") });
    receiver.close();
    receiver.closeAllConnections();
    await open("/apps/from-console/settings");
    await page.getByRole("button", { name: "Turn on" }).click();
    await page.getByText("Maintenance mode is on.").waitFor();
    const answer = await platform.visit(`from-console.localhost:${platform.routerPort}`);
    expect(answer.status).toBe(503);
    await page.getByRole("button", { name: "Turn off" }).click();
    await page.getByText("Maintenance mode is off.").waitFor();
    expect(await faults()).toEqual([]);
  });

  test("domains and certificates", async () => {
    await open("/apps/from-console/routing");
    await page.getByLabel("Host name").fill("www.example.com");
    await page.getByRole("button", { name: "Add domain" }).click();
    await page.getByText("www.example.com", { exact: true }).waitFor();
    execFileSync("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-keyout", join(home, "key.pem"), "-out", join(home, "chain.pem"), "-days", "30"],
      ...["-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com"],
    ]);
    await page.getByText("Add a certificate").click();
    await page.getByLabel("Certificate chain").fill(readFileSync(join(home, "chain.pem"), "utf8"));
    await page.getByLabel("Private key").fill(readFileSync(join(home, "key.pem"), "utf8"));
    await page.getByRole("button", { name: "Add certificate" }).click();
    await page.getByText(/www\.example\.com; until \d{4}-/).waitFor();
    expect(await page.getByLabel("Private key").inputValue()).toBe("");
    expect(await faults()).toEqual([]);
    // The first press asks, the second one removes.
    await page.getByRole("button", { name: "Remove www.example.com" }).click();
    await page.getByRole("button", { name: "Remove www.example.com for certain" }).click();
    await page.getByText("www.example.com", { exact: true }).waitFor({ state: "detached" });
  });

  test("settings of the router", async () => {
    await open("/apps/from-console/routing");
    await page.getByText("The router's defaults hold.").waitFor();
    await page.getByLabel("Setting", { exact: true }).fill("timeouts.firstByteMs");
    await page.getByLabel("Value", { exact: true }).fill("0");
    await page.getByRole("button", { name: "Set", exact: true }).click();
    await page.getByText(/The router refuses "timeouts\.firstByteMs"/).waitFor();
    await page.getByLabel("Value", { exact: true }).fill("60000");
    await page.getByRole("button", { name: "Set", exact: true }).click();
    await page.getByText('{"firstByteMs":60000}').waitFor();
    expect(await faults()).toEqual([]);
    await page.getByRole("button", { name: "Remove timeouts" }).click();
    await page.getByRole("button", { name: "Remove timeouts for certain" }).click();
    await page.getByText("The router's defaults hold.").waitFor();
  });

  test("webhooks, with the key shown once and what was delivered", async () => {
    await open("/apps/from-console/hooks");
    await page.getByLabel("Webhook URL").fill("http://127.0.0.1:9/hook");
    await page.getByLabel("api:formation").check();
    await page.getByRole("button", { name: "Add webhook" }).click();
    await page.getByText("Key of the signatures").waitFor();
    await page.getByText("api:release, api:formation (notify)").waitFor();
    await platform.api("PATCH", "/apps/from-console/formation", {
      updates: [{ type: "web", quantity: 2 }],
    });
    await page
      .getByText(/attempts?,/)
      .first()
      .waitFor();
    expect(await faults()).toEqual([]);
  });

  test("access, features and what was done by whom, live", async () => {
    await open("/apps/from-console/activity");
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByText("app create", { exact: true }).waitFor();
    await platform.api("PATCH", "/apps/from-console/config-vars", { LIVE: "1" });
    await page.getByText("release create").first().waitFor();
    expect(await faults()).toEqual([]);
    await open("/apps/from-console/access");
    await page.getByLabel("E-mail of an account").fill("nobody@example.com");
    await page.getByRole("button", { name: "Give access" }).click();
    await page.getByRole("alert").waitFor();
    expect(await faults()).toEqual([]);
    await open("/apps/from-console/settings");
    const affinity = page.getByRole("checkbox", { name: /Session affinity/ });
    await affinity.click();
    await eventually(
      () => platform.api("GET", "/apps/from-console/features/http-session-affinity"),
      ({ json }) => json.enabled === true,
    );
  });

  test("pipelines and tokens", async () => {
    await platform.api("POST", "/apps", { name: "to-console" });
    await open("/pipelines");
    await page.getByLabel("Name of a new pipeline").fill("line");
    await page.getByRole("button", { name: "Create pipeline" }).click();
    const panel = page.getByRole("region", { name: "line", exact: true });
    for (const [app, stage] of [
      ["from-console", "staging"],
      ["to-console", "production"],
    ] as const) {
      await panel.getByRole("combobox", { name: "App" }).selectOption({ label: app });
      await panel.getByRole("combobox", { name: "Stage" }).selectOption(stage);
      await panel.getByRole("button", { name: "Add to line" }).click();
      await panel.getByRole("link", { name: app }).waitFor();
    }
    await panel.getByRole("button", { name: "Promote from-console" }).click();
    await panel.getByText("Promoting from-console to to-console").waitFor();
    expect(await faults()).toEqual([]);
    await open("/account");
    await page.getByLabel("What it is for").fill("from the console");
    await page.getByRole("combobox", { name: "Scope" }).selectOption("read");
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.getByText("The token, shown this once:").waitFor();
    const token = await page.getByText("The token, shown this once:").locator("code").textContent();
    const answer = await fetch(`${platform.apiUrl}/apps`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
    expect(await faults()).toEqual([]);
  });

  test("hostile lines, names and values stay text", async () => {
    const hostile = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
    await platform.api("PATCH", "/apps/from-console/config-vars", { HOSTILE: hostile });
    await open("/apps/from-console/config");
    await page.getByRole("button", { name: "Show HOSTILE" }).click();
    await page.getByText(hostile).waitFor();
    await open("/apps/from-console/logs");
    await page.getByText(/^Live/).waitFor();
    const line = `${hostile} as a line`;
    await platform.api("POST", "/apps/from-console/dynos", { command: `echo '${line}'` });
    await page.getByText(line, { exact: true }).waitFor();
    expect(await page.evaluate("window.hacked")).toBeUndefined();
    expect(await page.locator(".line img, .line script, td img").count()).toBe(0);
  });

  test("5,000 lines a second do not freeze the page, whose rows are bounded", async () => {
    await open("/apps/from-console/logs");
    await page.locator(".line").first().waitFor();
    const answer = await platform.api("POST", "/apps/from-console/dynos", {
      command:
        'node -e \'let n=0;const t=setInterval(()=>{let s="";for(let i=0;i<250;i++)s+="flood "+n++ +"\\n";process.stdout.write(s);if(n>=15000){clearInterval(t);console.log("flood is over")}},50)\'',
    });
    expect(answer.status).toBe(201);
    await page
      .getByText(/^flood \d+$/)
      .first()
      .waitFor();
    // The page answers to the keyboard while lines come.
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").getByText("All apps").waitFor();
    await page.keyboard.press("Escape");
    // Not by its last line: a tail that is behind drops lines, and counts them.
    const flood = answer.json.name;
    await eventually(
      async () => (await platform.api("GET", "/apps/from-console/dynos")).json,
      (dynos) => dynos.every(({ name }: { name: string }) => name !== flood),
    );
    await expect.poll(() => page.locator(".line").count()).toBeGreaterThan(1000);
    const rows = await page.locator(".line").count();
    expect(rows).toBeLessThanOrEqual(2000);
  });

  test("goes anywhere by keyboard", async () => {
    await open("/");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("from-console");
    await page.getByRole("dialog").getByText("from-console", { exact: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /from-console/ }).waitFor();
  });

  test("fits a phone and a desk, light and dark", { timeout: 180_000 }, async () => {
    for (const [size, width, height] of [
      ["desktop", 1280, 800],
      ["phone", 375, 740],
    ] as const)
      for (const colorScheme of ["light", "dark"] as const) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme });
        for (const tab of tabs) {
          await open(tab.startsWith("/") ? tab : `/apps/from-console/${tab}`);
          await page.locator(".panel").first().waitFor();
          await page.screenshot({
            path: join(artifacts, `${tab.replace("/", "")}-${size}-${colorScheme}.png`),
          });
          const overflow = await page.evaluate<number>(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          expect(overflow, `${tab} at ${width} px`).toBeLessThanOrEqual(0);
          // Each width and each scheme once: the views share their colours and their layout.
          if ((size === "phone") === (colorScheme === "dark"))
            expect(await faults(), `${tab} ${size} ${colorScheme}`).toEqual([]);
        }
      }
  });

  test("goes on after the platform was away, without a new sign-in", async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    await open("/apps/from-console/logs");
    await page.getByText(/^Live/).waitFor();
    await platform.stop();
    await page.getByText(/Connecting/).waitFor();
    const { port } = new URL(platform.apiUrl);
    platform = await new PlatformProcess(join(home, "data"), ["--api-port", port]).ready();
    await page.getByText(/^Live/).waitFor();
    await eventually(
      () => platform.visit(`from-console.localhost:${platform.routerPort}`, "/after-restart"),
      ({ status }) => status === 200,
    );
    await page.getByText("saw /after-restart").first().waitFor();
    // Calls that got no answer meanwhile are the browser's own messages.
    problems.splice(
      0,
      problems.length,
      ...problems.filter((problem) => !/ERR_|MIME type/.test(problem)),
    );
  });

  test("the page itself reported no fault", () => {
    expect(problems).toEqual([]);
  });
});
