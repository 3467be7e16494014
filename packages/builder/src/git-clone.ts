import { spawn } from "node:child_process";
import { BuilderError } from "./errors.ts";
import { maskUrl, type NetworkOptions } from "./network/download.ts";
import { publicAddressesOf, resolveHost } from "./network/guard.ts";

/**
 * Clones the newest state of a repository over HTTP. git resolves names itself, so it is told
 * which addresses were judged, and it may not follow redirects to others.
 *
 * @throws BuilderError `unsafe-url`, `download-failed`, `cancelled`
 */
export async function cloneRepository(
  url: URL,
  into: string,
  options: NetworkOptions & {
    readonly ref?: string | undefined;
    readonly home: string;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const config = ["http.followRedirects=false", "credential.helper=", "core.hooksPath=/dev/null"];
  if (!options.allowPrivateNetworks) {
    const addresses = await publicAddressesOf(url, options.resolve ?? resolveHost);
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    const host = url.hostname.replace(/^\[|\]$/g, "");
    config.push(`http.curloptResolve=${host}:${port}:${addresses.join(",")}`);
  }
  const { ref } = options;
  const run = (args: readonly string[], cwd?: string) =>
    git([...config.flatMap((line) => ["-c", line]), ...args], {
      cwd,
      home: options.home,
      signal: options.signal,
    });
  const fail = (message: string) =>
    new BuilderError(
      "download-failed",
      `The repository ${maskUrl(url.href)} could not be cloned: ${message}`,
    );
  if (ref !== undefined && !/^[\w][\w./-]{0,254}$/.test(ref))
    throw fail(`"${ref.slice(0, 80)}" is not the name of a branch, tag or commit.`);
  const shallow = ["clone", "--quiet", "--depth", "1", "--no-tags"];
  const branch = ref === undefined ? [] : ["--branch", ref];
  const first = await run([...shallow, ...branch, "--", url.href, into]);
  if (first === undefined) return;
  if (ref === undefined) throw fail(first);
  // `--branch` knows no commits: fetch everything and look there.
  const whole = await run(["clone", "--quiet", "--no-checkout", "--", url.href, into]);
  if (whole !== undefined) throw fail(whole);
  const checkout = await run(["checkout", "--quiet", "--detach", ref, "--"], into);
  if (checkout !== undefined) throw fail(checkout);
}

/** Resolves to what git said when it failed. */
function git(
  args: readonly string[],
  options: { cwd: string | undefined; home: string; signal: AbortSignal },
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn("git", args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: options.home,
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_ALLOW_PROTOCOL: "http:https",
        GIT_TERMINAL_PROMPT: "0",
        LC_ALL: "C",
        // Certificates of the machine's own authorities.
        ...(process.env["GIT_SSL_CAINFO"] === undefined
          ? {}
          : { GIT_SSL_CAINFO: process.env["GIT_SSL_CAINFO"] }),
      },
      signal: options.signal,
      killSignal: "SIGKILL",
    });
    let message = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      message = `${message}${text}`.slice(-1000);
    });
    child.once("error", (error) => {
      reject(
        options.signal.aborted
          ? new BuilderError("cancelled", "The build was cancelled.", { cause: error })
          : error,
      );
    });
    child.once("close", (code) => {
      // git repeats the URL, which may hold a password.
      const masked = message.replace(/\/\/[^\s/@']+@/g, "//").trim();
      resolve(code === 0 ? undefined : masked || `git ended with status ${code}.`);
    });
  });
}
