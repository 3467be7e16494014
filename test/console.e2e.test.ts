import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
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
    await open("/apps/from-console/settings");
    await page.getByLabel("Drain URL").fill("http://127.0.0.1:9/drain");
    await page.getByRole("button", { name: "Add drain" }).click();
    await page.getByText("http://127.0.0.1:9/drain").waitFor();
    await page.getByRole("button", { name: "Turn on" }).click();
    await page.getByText("Maintenance mode is on.").waitFor();
    const answer = await platform.visit(`from-console.localhost:${platform.routerPort}`);
    expect(answer.status).toBe(503);
    await page.getByRole("button", { name: "Turn off" }).click();
    await page.getByText("Maintenance mode is off.").waitFor();
    expect(await faults()).toEqual([]);
  });

  test("goes anywhere by keyboard", async () => {
    await open("/");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("from-console");
    await page.getByRole("dialog").getByText("from-console", { exact: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /from-console/ }).waitFor();
  });

  test("fits a phone and a desk, light and dark", async () => {
    for (const [size, width, height] of [
      ["desktop", 1280, 800],
      ["phone", 375, 740],
    ] as const)
      for (const colorScheme of ["light", "dark"] as const) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme });
        for (const tab of ["overview", "logs", "traffic", "deploy", "config", "settings"]) {
          await open(`/apps/from-console/${tab}`);
          await page.locator(".panel").first().waitFor();
          await page.screenshot({ path: join(artifacts, `${tab}-${size}-${colorScheme}.png`) });
          const overflow = await page.evaluate<number>(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          expect(overflow, `${tab} at ${width} px`).toBeLessThanOrEqual(0);
          expect(await faults(), `${tab} ${size} ${colorScheme}`).toEqual([]);
        }
      }
  });

  test("the page itself reported no fault", () => {
    expect(problems).toEqual([]);
  });
});
