import { ProcfileError, quoted } from "../errors.ts";
import { nearest } from "../suggest.ts";
import type { ExportedFile, ExportPlan, PlannedInstance, PlannedType } from "./plan.ts";
import { hclString, shellQuote, systemdQuote, xmlText, yamlString } from "./quote.ts";

/** One file, or one per type or instance, with `{{name}}` and `{{name|filter}}` in both texts. */
export interface TemplateFile {
  /** How often it is written. Default `app`. */
  readonly per?: "app" | "type" | "instance";
  readonly path: string;
  readonly content: string;
  readonly executable?: boolean;
}

/**
 * A target of one's own: text files with placeholders. Names: `app`, `type`, `command`, `quantity`,
 * `instance`, `dyno`, `port`, `workingDirectory`, `user`, `shell`, `logDirectory`, `image`,
 * `stopSignal`, `stopTimeoutSeconds`, and `env.NAME`. Filters: `sh`, `json`, `yaml`, `xml`,
 * `systemd`, `hcl`; without one the text stands as it is.
 */
export interface ExportTemplate {
  readonly files: readonly TemplateFile[];
}

const filters: Readonly<Record<string, (value: string) => string>> = {
  sh: shellQuote,
  json: (value) => JSON.stringify(value),
  yaml: yamlString,
  xml: xmlText,
  systemd: systemdQuote,
  hcl: hclString,
};

/** Fills a template. Throws `invalid-option` for a name or filter that doesn't exist there. */
export function renderTemplate(template: ExportTemplate, plan: ExportPlan): ExportedFile[] {
  return template.files.flatMap((file) => {
    const render = (type?: PlannedType, instance?: PlannedInstance): ExportedFile => {
      const values = valuesOf(plan, type, instance);
      return {
        path: fill(file.path, values),
        content: fill(file.content, values),
        executable: file.executable ?? false,
      };
    };
    if (file.per === "type") return plan.types.map((type) => render(type));
    if (file.per !== "instance") return [render()];
    return plan.types.flatMap((type) => type.instances.map((instance) => render(type, instance)));
  });
}

function valuesOf(
  plan: ExportPlan,
  type: PlannedType | undefined,
  instance: PlannedInstance | undefined,
): Map<string, string> {
  const {
    app,
    workingDirectory,
    user,
    shell,
    logDirectory,
    image,
    stopSignal,
    stopTimeoutSeconds,
  } = plan;
  const values = new Map<string, string>(
    Object.entries({
      app,
      workingDirectory,
      user: user ?? "",
      shell,
      logDirectory,
      image,
      stopSignal,
    }),
  );
  values.set("stopTimeoutSeconds", String(stopTimeoutSeconds));
  for (const [name, value] of instance?.env ?? plan.env) values.set(`env.${name}`, value);
  if (type) {
    values.set("type", type.name).set("command", type.command);
    values.set("quantity", String(type.instances.length));
    const port = instance ? instance.port : type.containerPort;
    values.set("port", port === undefined ? "" : String(port));
  }
  if (instance) values.set("instance", String(instance.instance)).set("dyno", instance.dyno);
  return values;
}

function fill(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\{\{([A-Za-z0-9_.]{1,80})(?:\|([a-z]{1,20}))?\}\}/g,
    (_, name: string, filter?: string) => {
      const value = values.get(name);
      const near = nearest(name, values.keys());
      if (value === undefined)
        throw new ProcfileError(
          "invalid-option",
          `A template has no value ${quoted(name)} here.${near ? ` Did you mean ${quoted(near)}?` : ""}`,
          { name },
        );
      if (filter === undefined) return value;
      if (!Object.hasOwn(filters, filter))
        throw new ProcfileError(
          "invalid-option",
          `There is no filter ${quoted(filter)}: use ${Object.keys(filters).join(", ")}.`,
          { filter },
        );
      return filters[filter]!(value);
    },
  );
}
