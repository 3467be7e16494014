import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { CliError } from "../errors.ts";
import type { Platform } from "./client.ts";
import { readAuthority } from "./trust.ts";

const fileSchema = z.object({
  current: z.string().optional(),
  contexts: z.record(
    z.string(),
    z.object({
      url: z.string(),
      token: z.string(),
      email: z.string().optional(),
      authority: z.string().optional(),
    }),
  ),
});

type ContextsFile = z.infer<typeof fileSchema>;

/** Platforms this user has signed in to, in a file that only the user may read. */
export class Contexts {
  readonly path: string;

  constructor(env: NodeJS.ProcessEnv = process.env) {
    const base = env["XDG_CONFIG_HOME"] ?? join(env["HOME"] ?? homedir(), ".config");
    this.path = env["DYNOKIT_CONTEXTS"] ?? join(base, "dynokit", "contexts.json");
  }

  read(): ContextsFile {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { contexts: {} };
      throw new CliError("failed", `${this.path} cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
    try {
      return fileSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new CliError(
        "failed",
        `${this.path} is not a contexts file: repair or remove it, then \`dynokit login\`.`,
        { cause },
      );
    }
  }

  write(file: ContextsFile): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    // Written aside and renamed: a crash leaves the old file or the new one.
    const temporary = `${this.path}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
    renameSync(temporary, this.path);
  }

  /** The platform to speak to: flag, then environment, then the current context. */
  resolve(name: string | undefined, env: NodeJS.ProcessEnv): Platform {
    const path = env["DYNOKIT_CA"] ?? "";
    const authority = path === "" ? undefined : readAuthority(path);
    if (name === undefined) {
      const url = env["DYNOKIT_URL"];
      const token = env["DYNOKIT_TOKEN"];
      if (url !== undefined && token !== undefined) return { url: checked(url), token, authority };
    }
    const file = this.read();
    const chosen = name ?? env["DYNOKIT_CONTEXT"] ?? file.current;
    const context = chosen === undefined ? undefined : file.contexts[chosen];
    if (context)
      return {
        // A platform named by a flag is not half another one.
        url: name === undefined ? checked(env["DYNOKIT_URL"] ?? context.url) : context.url,
        token: name === undefined ? (env["DYNOKIT_TOKEN"] ?? context.token) : context.token,
        authority: authority ?? context.authority,
      };
    if (chosen !== undefined)
      throw new CliError(
        "no-platform",
        `There is no context "${chosen}". Known: ${Object.keys(file.contexts).join(", ") || "none"}.`,
      );
    throw new CliError(
      "no-platform",
      "No platform chosen: sign in with `dynokit login <url>`, or set DYNOKIT_URL and DYNOKIT_TOKEN.",
    );
  }
}

function checked(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new CliError(
    "usage",
    `DYNOKIT_URL is "${url}": give an address such as http://127.0.0.1:5000.`,
  );
}
