import { randomBytes } from "node:crypto";
import { z } from "zod";
import { ApiError } from "../errors.ts";
import { changeConfig } from "../platform/config.ts";
import { dynoSizes, findNamed, stacks } from "../resources/catalog.ts";

const variable = z.union([
  z.string(),
  z.object({
    value: z.union([z.string(), z.number(), z.boolean()]).nullish(),
    required: z.boolean().nullish(),
    generator: z.string().nullish(),
  }),
]);
const script = z.union([
  z.string().min(1),
  z.object({ command: z.string().min(1), size: z.string().nullish() }),
]);
const addon = z.union([z.string(), z.object({ plan: z.string() })]);

/** The keys of `app.json` that count here; descriptions, logos and whatever else are let pass. */
const schema = z.object({
  env: z.record(z.string(), variable).nullish(),
  buildpacks: z
    .array(z.object({ url: z.string().min(1).max(2000) }))
    .max(50)
    .nullish(),
  stack: z.string().nullish(),
  formation: z
    .record(
      z.string().regex(/^[-\w]{1,128}$/, "is not the name of a process type"),
      z.object({ quantity: z.int().min(0).max(100).nullish(), size: z.string().nullish() }),
    )
    .nullish(),
  scripts: z.object({ postdeploy: script.nullish() }).nullish(),
  addons: z.array(addon).nullish(),
  success_url: z.string().max(2000).nullish(),
});

/** What a client sets instead of what `app.json` says. */
export interface Overrides {
  readonly env: Readonly<Record<string, string>>;
  readonly buildpacks: readonly { readonly url: string }[] | undefined;
}

/** What an app is set up with. */
export interface Manifest {
  readonly config: Readonly<Record<string, string>>;
  readonly buildpacks: readonly { readonly url: string }[];
  readonly stack: string | undefined;
  /** Absent fields keep what the platform would choose. */
  readonly formation: Readonly<
    Record<string, { readonly quantity: number | undefined; readonly size: string | undefined }>
  >;
  readonly postdeploy: { readonly command: string; readonly size: string | undefined } | undefined;
  readonly successUrl: string | undefined;
}

/** `app.json` as read; with `errors` it can't be used, with `notices` it can in part. */
export interface ManifestResult {
  readonly manifest: Manifest;
  readonly errors: readonly string[];
  readonly notices: readonly string[];
}

/**
 * Reads an `app.json`. Add-ons are notices and no errors: an app may be given the URL of a service
 * that runs elsewhere. Messages carry names, never values.
 *
 * @throws ApiError `invalid-params` when it is not even JSON.
 */
export function readManifest(text: string, overrides: Overrides): ManifestResult {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new ApiError("invalid-params", "app.json is not valid JSON.", { cause: error });
  }
  const parsed = schema.safeParse(document);
  if (!parsed.success)
    return {
      manifest: nothing,
      errors: parsed.error.issues.map(({ path, message }) =>
        path.length === 0 ? `app.json: ${message}` : `${path.join(".")}: ${message}`,
      ),
      notices: [],
    };
  const { data } = parsed;
  const errors: string[] = [];
  const { postdeploy } = data.scripts ?? {};
  const command = typeof postdeploy === "string" ? { command: postdeploy } : postdeploy;
  const manifest: Manifest = {
    config: configOf(data.env ?? {}, overrides.env, errors),
    buildpacks: overrides.buildpacks ?? data.buildpacks ?? [],
    stack: stackOf(data.stack, errors),
    formation: Object.fromEntries(
      Object.entries(data.formation ?? {}).map(([type, { quantity, size }]) => [
        type,
        { quantity: quantity ?? undefined, size: sizeOf(size, `formation.${type}.size`, errors) },
      ]),
    ),
    postdeploy: command
      ? {
          command: command.command,
          size: sizeOf("size" in command ? command.size : null, "scripts.postdeploy.size", errors),
        }
      : undefined,
    successUrl: data.success_url ?? undefined,
  };
  const notices = (data.addons ?? []).map((one) => {
    const plan = typeof one === "string" ? one : one.plan;
    return `addons: ${plan} was not added, since this platform offers no add-ons. Run the service yourself and set its URL with overrides.env or config:set.`;
  });
  return { manifest, errors, notices };
}

const nothing: Manifest = {
  config: {},
  buildpacks: [],
  stack: undefined,
  formation: {},
  postdeploy: undefined,
  successUrl: undefined,
};

function configOf(
  declared: Readonly<Record<string, z.output<typeof variable>>>,
  given: Readonly<Record<string, string>>,
  errors: string[],
): Readonly<Record<string, string>> {
  const values: [string, string][] = [];
  for (const [name, one] of Object.entries(declared)) {
    if (Object.hasOwn(given, name)) continue;
    const { value, generator, required } = typeof one === "string" ? { value: one } : one;
    if (generator === "secret") values.push([name, randomBytes(32).toString("hex")]);
    else if (generator)
      errors.push(`env.${name}.generator: there is no such generator. Use "secret".`);
    else if (value !== null && value !== undefined) values.push([name, String(value)]);
    else if (required !== false)
      errors.push(`env.${name}: it is required and has no value. Give it in overrides.env.`);
  }
  try {
    return changeConfig({}, Object.fromEntries([...values, ...Object.entries(given)])).values;
  } catch (error) {
    if (!ApiError.is(error)) throw error;
    errors.push(`env: ${error.message}`);
    return {};
  }
}

function stackOf(wanted: string | null | undefined, errors: string[]): string | undefined {
  if (wanted === null || wanted === undefined) return undefined;
  const stack = findNamed(stacks, wanted);
  if (!stack)
    errors.push(
      `stack: there is no stack of this name. Use ${stacks.map(({ name }) => name).join(", ")}.`,
    );
  return stack?.name;
}

function sizeOf(
  wanted: string | null | undefined,
  field: string,
  errors: string[],
): string | undefined {
  if (wanted === null || wanted === undefined) return undefined;
  const size = findNamed(dynoSizes, wanted);
  if (!size)
    errors.push(
      `${field}: there is no such dyno size. Use ${dynoSizes.map(({ name }) => name).join(", ")}.`,
    );
  return size?.name;
}
