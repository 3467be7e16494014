import fc from "fast-check";

// biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is looked into at any depth.
type Schema = any;

/** Texts that programs trip over. */
export const nastyText = fc.oneof(
  fc.constantFrom(
    "",
    "~",
    "..",
    "%00",
    "\u0000",
    "a\u0000b",
    "__proto__",
    "constructor",
    "null",
    "-1",
    "99999999999999999999",
    "2147483648",
    "v2",
    "\ud800",
    "ünïcödé",
    "' or 1=1 --",
    "a".repeat(300),
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "https://x.example/\u0001",
    "http://[::1",
  ),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 20 }),
);

const junk = fc.oneof(
  nastyText,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom([], {}, [[]], { id: null }, { name: 3 }, 1e308, -0, 2 ** 53),
  fc.jsonValue({ maxDepth: 2 }),
);

function text(schema: Schema, words: readonly string[]): fc.Arbitrary<unknown> {
  const fitting = words.filter((word) => !schema.pattern || new RegExp(schema.pattern).test(word));
  const known = fitting.length > 0 ? [fc.constantFrom(...fitting)] : [];
  if (schema.pattern) return fc.oneof(...known, fc.stringMatching(new RegExp(schema.pattern)));
  return fc.oneof(
    ...known,
    fc.string({
      minLength: schema.minLength ?? 0,
      maxLength: Math.min(schema.maxLength ?? 30, 60),
    }),
  );
}

function valid(schema: Schema, words: readonly string[], root: Schema): fc.Arbitrary<unknown> {
  if (schema.$ref) {
    const name = String(schema.$ref).split("/").at(-1) ?? "";
    return near(root.$defs?.[name] ?? {}, words, root);
  }
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return fc.oneof(...options.map((one: Schema) => near(one, words, root)));
  switch (schema.type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
    case "number":
      return fc.integer({
        min: Math.max(schema.minimum ?? -5, -(2 ** 31)),
        max: Math.min(schema.maximum ?? 300, 2 ** 31 - 1),
      });
    case "string":
      return text(schema, words);
    case "array":
      return fc.array(near(schema.items ?? {}, words, root), {
        minLength: schema.minItems ?? 0,
        maxLength: 3,
      });
    case "object": {
      const fields = schema.properties ?? {};
      const known = fc.record(
        Object.fromEntries(
          Object.entries(fields).map(([key, field]) => [key, near(field, words, root)]),
        ),
        { requiredKeys: (schema.required ?? []).filter((key: string) => key in fields) },
      );
      if (!schema.additionalProperties) return known;
      const names = schema.propertyNames?.pattern
        ? fc.stringMatching(new RegExp(schema.propertyNames.pattern))
        : fc.oneof(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,8}$/), nastyText);
      const extra = fc.dictionary(
        names,
        near(schema.additionalProperties === true ? {} : schema.additionalProperties, words, root),
        { maxKeys: 3 },
      );
      return fc.tuple(known, extra).map(([a, b]) => ({ ...b, ...a }));
    }
    default:
      return junk;
  }
}

/** Mostly what a schema allows, and at any depth now and then something else. */
export function near(
  schema: Schema,
  words: readonly string[],
  root: Schema = schema,
): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 9, arbitrary: valid(schema, words, root) },
    { weight: 1, arbitrary: junk },
  );
}
