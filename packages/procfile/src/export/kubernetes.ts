import { ProcfileError } from "../errors.ts";
import { repairName } from "../name.ts";
import type { ExportedFile, ExportPlan, PlannedType } from "./plan.ts";
import { yamlString } from "./quote.ts";

/**
 * A Deployment per type, a Service for `web`, a Job for `release`, and a Secret with the variables,
 * each in a file of its own.
 */
export function toKubernetes(plan: ExportPlan): ExportedFile[] {
  const app = plan.app.toLowerCase();
  const files: ExportedFile[] = [];
  const add = (path: string, lines: string[]) =>
    files.push({ path, content: `${lines.join("\n")}\n`, executable: false });
  if (plan.env.size > 0)
    add(`${app}-env-secret.yaml`, [
      "apiVersion: v1",
      "kind: Secret",
      ...metadata(plan, `${app}-env`, app),
      "type: Opaque",
      "stringData:",
      ...[...plan.env].map(([name, value]) => `  ${yamlString(name)}: ${yamlString(value)}`),
    ]);
  const seen = new Map<string, string>();
  for (const type of plan.types) {
    const label = repairName(type.name, "heroku") || "process";
    const other = seen.get(label);
    if (other !== undefined)
      throw new ProcfileError(
        "name-taken",
        `${other} and ${type.name} would both be ${label} in Kubernetes. Rename one of them.`,
        { names: [other, type.name] },
      );
    seen.set(label, type.name);
    const name = limited(`${app}-${label}`);
    if (type.oneShot) add(`${name}-job.yaml`, job(plan, type, name, app));
    else add(`${name}-deployment.yaml`, deployment(plan, type, name, app));
    if (type.name === "web" && type.containerPort !== undefined)
      add(`${name}-service.yaml`, [
        "apiVersion: v1",
        "kind: Service",
        ...metadata(plan, name, app),
        "spec:",
        "  selector:",
        ...labels(app, name, "    "),
        "  ports:",
        "    - name: http",
        "      port: 80",
        "      targetPort: http",
      ]);
  }
  return files;
}

function deployment(plan: ExportPlan, type: PlannedType, name: string, app: string): string[] {
  return [
    "apiVersion: apps/v1",
    "kind: Deployment",
    ...metadata(plan, name, app),
    "spec:",
    `  replicas: ${type.instances.length}`,
    "  selector:",
    "    matchLabels:",
    ...labels(app, name, "      "),
    "  template:",
    "    metadata:",
    "      labels:",
    ...labels(app, name, "        "),
    "    spec:",
    ...pod(plan, type, app),
  ];
}

function job(plan: ExportPlan, type: PlannedType, name: string, app: string): string[] {
  return [
    "apiVersion: batch/v1",
    "kind: Job",
    ...metadata(plan, name, app),
    "spec:",
    "  backoffLimit: 0",
    "  template:",
    "    metadata:",
    "      labels:",
    ...labels(app, name, "        "),
    "    spec:",
    "      restartPolicy: Never",
    ...pod(plan, type, app),
  ];
}

function pod(plan: ExportPlan, type: PlannedType, app: string): string[] {
  const { containerPort: port } = type;
  // Kubernetes itself expands $(NAME) and takes $$ for $.
  const text = (value: string) => yamlString(value.replaceAll("$", "$$$$"));
  const numeric = plan.user !== undefined && /^[0-9]{1,9}$/.test(plan.user);
  return [
    `      terminationGracePeriodSeconds: ${plan.stopTimeoutSeconds}`,
    "      containers:",
    "        - name: main",
    `          image: ${yamlString(plan.image)}`,
    `          command: [${text(plan.shell)}, "-c", ${text(type.command)}]`,
    `          workingDir: ${yamlString(plan.workingDirectory)}`,
    // Only a number can be given here; a name is the image's business.
    ...(numeric
      ? ["          securityContext:", `            runAsUser: ${Number(plan.user)}`]
      : []),
    ...(plan.env.size > 0
      ? [
          "          envFrom:",
          "            - secretRef:",
          `                name: ${yamlString(`${app}-env`)}`,
        ]
      : []),
    "          env:",
    "            - name: DYNO",
    "              valueFrom:",
    "                fieldRef:",
    "                  fieldPath: metadata.name",
    ...(port === undefined
      ? []
      : [
          "            - name: PORT",
          `              value: "${port}"`,
          "          ports:",
          "            - name: http",
          `              containerPort: ${port}`,
        ]),
  ];
}

function metadata({ namespace }: ExportPlan, name: string, app: string): string[] {
  return [
    "metadata:",
    `  name: ${yamlString(name)}`,
    ...(namespace === undefined ? [] : [`  namespace: ${yamlString(namespace)}`]),
    "  labels:",
    ...labels(app, name, "    "),
  ];
}

function labels(app: string, name: string, indent: string): string[] {
  return [
    `${indent}app.kubernetes.io/part-of: ${yamlString(app)}`,
    `${indent}app.kubernetes.io/name: ${yamlString(name)}`,
  ];
}

/** Service names and labels end at 63 characters; a hash keeps two long names apart. */
function limited(name: string): string {
  if (name.length <= 63) return name;
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++)
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0;
  return `${name.slice(0, 54)}-${hash.toString(16).padStart(8, "0")}`;
}
