import type { StructuredElement } from "../../message.ts";
import type { FieldReference } from "../ast.ts";
import { copyMessage } from "../copy-message.ts";
import { quoteLogfmt, scanLogfmt } from "../logfmt.ts";
import type { Row, StageRun } from "../pipeline.ts";
import { type FieldValue, MessageView } from "../view.ts";

/** Name of a field in the output of `fields`. */
export function fieldLabel(field: FieldReference): string {
  if (field.kind === "header") return field.name;
  return field.kind === "sd" ? `sd.${field.id}.${field.name}` : field.path.join(".");
}

/** Text of a value; the items of a list are joined by commas. */
export function valueText(value: FieldValue): string | undefined {
  return value === undefined || typeof value === "string" ? value : value.join(",");
}

/**
 * Keeps only the named fields. A JSON line stays JSON with its types, any other becomes logfmt;
 * fields that a line lacks are left out.
 */
export function createFields(fields: readonly FieldReference[]): StageRun {
  const view = new MessageView();
  return {
    push(row, emit) {
      view.reset(row.message, row.keys);
      const text = view.isJson && view.json ? pickJson(view, fields) : pickPairs(view, fields);
      emit(withBody(row, Buffer.from(text)));
    },
  };
}

function pickPairs(view: MessageView, fields: readonly FieldReference[]): string {
  const parts: string[] = [];
  for (const field of fields) {
    const text = valueText(view.value(field));
    if (text !== undefined) parts.push(`${fieldLabel(field)}=${quoteLogfmt(text)}`);
  }
  return parts.join(" ");
}

function pickJson(view: MessageView, fields: readonly FieldReference[]): string {
  const out: Record<string, unknown> = Object.create(null);
  for (const field of fields) {
    if (field.kind !== "key") {
      const text = valueText(view.value(field));
      if (text !== undefined) out[fieldLabel(field)] = text;
      continue;
    }
    const found = findJson(view.json, field.path);
    if (found) setJson(out, found.path, found.value);
  }
  return JSON.stringify(out);
}

interface FoundValue {
  readonly path: readonly string[];
  readonly value: unknown;
}

function findJson(
  root: Record<string, unknown> | undefined,
  path: readonly string[],
): FoundValue | undefined {
  if (!root) return undefined;
  const flat = path.join(".");
  if (Object.hasOwn(root, flat)) return { path: [flat], value: root[flat] };
  let value: unknown = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part))
      return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return { path, value };
}

function setJson(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = root;
  path.forEach((part, index) => {
    if (index === path.length - 1) {
      at[part] = value;
      return;
    }
    const inner = at[part];
    const next: Record<string, unknown> =
      typeof inner === "object" && inner !== null
        ? (inner as Record<string, unknown>)
        : Object.create(null);
    at[part] = next;
    at = next;
  });
}

/** Takes the named keys and structured data out; everything else keeps its bytes. */
export function createDrop(fields: readonly FieldReference[]): StageRun {
  const view = new MessageView();
  const paths = fields.flatMap((field) => (field.kind === "key" ? [field.path] : []));
  const names = new Set(paths.map((path) => path.join(".")));
  return {
    push(row, emit) {
      view.reset(row.message, row.keys);
      let next = row;
      if (paths.length > 0) {
        next = view.isJson && view.json ? dropJson(row, view, paths) : dropPairs(row, view, names);
      }
      emit(dropStructured(next, fields));
    },
  };
}

function dropJson(row: Row, view: MessageView, paths: readonly (readonly string[])[]): Row {
  const found = paths.flatMap((path) => findJson(view.json, path) ?? []);
  if (found.length === 0) return row;
  // The view's object is shared with nobody after this stage, so it may be changed.
  for (const { path } of found) {
    let at = view.json as Record<string, unknown>;
    for (const part of path.slice(0, -1)) at = at[part] as Record<string, unknown>;
    delete at[path[path.length - 1] as string];
  }
  return withBody(row, Buffer.from(JSON.stringify(view.json)));
}

function dropPairs(row: Row, view: MessageView, names: ReadonlySet<string>): Row {
  if (row.keys.kind === "map") {
    const values = new Map(row.keys.values);
    for (const name of names) values.delete(name);
    const parts = [...values].map(([key, value]) => `${key}=${quoteLogfmt(value)}`);
    return {
      message: copyMessage(row.message, { body: Buffer.from(parts.join(" ")) }),
      keys: { kind: "map", values },
    };
  }
  const bytes = view.bytes;
  const kept: Buffer[] = [];
  let at = 0;
  scanLogfmt(bytes, (keyFrom, keyTo, _from, to, quoted) => {
    if (!names.has(bytes.toString("utf8", keyFrom, keyTo))) return false;
    kept.push(bytes.subarray(at, keyFrom));
    at = Math.min(bytes.length, to + (quoted ? 1 : 0));
    // One of the two spaces around the pair goes with it.
    if (bytes[at] === 0x20) at++;
    return false;
  });
  if (at === 0) return row;
  const rest = bytes.subarray(at);
  if (rest.length === 0) {
    const last = kept[kept.length - 1] as Buffer;
    if (last[last.length - 1] === 0x20) kept[kept.length - 1] = last.subarray(0, -1);
  }
  return withBody(row, Buffer.concat([...kept, rest]));
}

function dropStructured(row: Row, fields: readonly FieldReference[]): Row {
  const { sd } = row.message;
  const dropped = fields.filter((field) => field.kind === "sd");
  if (sd.length === 0 || dropped.length === 0) return row;
  const kept: StructuredElement[] = sd.map((element) => ({
    id: element.id,
    params: element.params.filter(
      ({ name }) => !dropped.some((field) => field.id === element.id && field.name === name),
    ),
  }));
  return { ...row, message: copyMessage(row.message, { sd: kept }) };
}

/** The row with another body; keys are then read from the new one. */
export function withBody(row: Row, body: Buffer): Row {
  return { message: copyMessage(row.message, { body }), keys: { kind: "auto" } };
}
