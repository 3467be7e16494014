import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { Answer, Harness } from "./harness.ts";

// biome-ignore lint/suspicious/noExplicitAny: the document is looked into at any depth.
type Json = any;

const escapePointer = (text: string) =>
  text
    .replaceAll("~", "~0")
    .replaceAll("/", "~1")
    .replaceAll("%", "%25")
    .replaceAll("{", "%7B")
    .replaceAll("}", "%7D");

/** One operation of the published document. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly item: Json;
}

/** Holds traffic against the OpenAPI document that the platform itself serves. */
export class Contract {
  readonly document: Json;
  readonly operations: readonly Operation[];
  /** `METHOD path status` of everything that was answered. */
  readonly seen = new Set<string>();
  readonly #ajv: Ajv2020;
  readonly #patterns: readonly (Operation & { readonly pattern: RegExp })[];
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Json) {
    this.document = document;
    this.#ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats.default(this.#ajv);
    this.#ajv.addSchema(document, "https://openapi.test/");
    const methods = ["get", "post", "put", "patch", "delete"];
    this.operations = Object.entries<Json>(document.paths).flatMap(([path, items]) =>
      methods.flatMap((method) =>
        items[method] ? [{ method: method.toUpperCase(), path, item: items[method] }] : [],
      ),
    );
    this.#patterns = [...this.operations]
      .sort((a, b) => a.path.split("{").length - b.path.split("{").length)
      .map((one) => ({
        ...one,
        pattern: new RegExp(`^${one.path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`),
      }));
  }

  static async of(harness: Harness): Promise<Contract> {
    return new Contract((await harness.call("GET", "/openapi.json", undefined, {}, null)).json);
  }

  #check(pointer: readonly string[], value: unknown): string | undefined {
    const key = `https://openapi.test/#/${pointer.map(escapePointer).join("/")}`;
    let validator = this.#validators.get(key);
    if (!validator) {
      validator = this.#ajv.compile({ $ref: key });
      this.#validators.set(key, validator);
    }
    return validator(value) ? undefined : this.#ajv.errorsText(validator.errors);
  }

  operation(method: string, target: string): Operation | undefined {
    const path = new URL(target, "http://api.test").pathname;
    return this.#patterns.find((one) => one.method === method && one.pattern.test(path));
  }

  /** What differs between the document and one exchange; empty when nothing does. */
  differences(method: string, target: string, body: unknown, answer: Answer): string[] {
    const operation = this.operation(method, target);
    if (!operation) return [`${method} ${target} is not in the document`];
    const { path, item } = operation;
    const at = ["paths", path, method.toLowerCase()];
    const problems: string[] = [];
    const say = (text: string) => problems.push(`${method} ${path}: ${text}`);
    this.seen.add(`${method} ${path} ${answer.status}`);
    const sent = item.requestBody?.content?.["application/json"];
    if (body !== undefined && typeof body !== "string" && answer.status < 300) {
      if (!sent?.schema) say("took a body that is not in the document");
      else {
        const wrong = this.#check(
          [...at, "requestBody", "content", "application/json", "schema"],
          body,
        );
        if (wrong) say(`the body it took: ${wrong}`);
      }
    }
    const declared =
      item.responses[String(answer.status)] ??
      (answer.status >= 400 ? item.responses.default : undefined);
    if (!declared)
      return [...problems, `${method} ${path}: ${answer.status} is not in the document`];
    const name = item.responses[String(answer.status)] ? String(answer.status) : "default";
    const response = declared.$ref ? this.#follow(declared.$ref) : declared;
    const where = declared.$ref ? declared.$ref.slice(2).split("/") : [...at, "responses", name];
    const type = answer.headers.get("content-type")?.split(";")[0] ?? "";
    if (answer.status !== 304 && answer.status !== 204) {
      const content = response.content?.[type];
      if (!content && Object.keys(response.content ?? {}).length + answer.text.length > 0)
        say(`${answer.status} has the type ${type}, not ${Object.keys(response.content ?? {})}`);
      else if (content?.schema) {
        const wrong = this.#check([...where, "content", type, "schema"], answer.json);
        if (wrong) say(`${answer.status}: ${wrong}: ${answer.text.slice(0, 500)}`);
      }
    }
    for (const [header, value] of Object.entries<Json>(response.headers ?? {})) {
      const resolved = value.$ref ? this.#follow(value.$ref) : value;
      const got = answer.headers.get(header);
      if (got === null) {
        if (resolved.required) say(`${answer.status} lacks the header ${header}`);
      } else if (resolved.schema?.type === "integer" && !/^\d+$/.test(got))
        say(`${header}: ${got} is not a number`);
    }
    return problems;
  }

  #follow(reference: string): Json {
    return reference
      .slice(2)
      .split("/")
      .reduce((node: Json, key) => node[key], this.document);
  }
}
