// Flags, environment and defaults of the example platform, checked before anything is opened.
import { parseArgs } from "node:util";

export const usage = `Usage: npm start -- [options]

  --port N       port of the router, where apps answer        (DYNOKIT_PORT, default 8080)
  --api-port N   port of the API, git, console and log streams (DYNOKIT_API_PORT, default 5000)
  --data DIR     everything that is kept                       (DYNOKIT_DATA, default ./data)
  --no-sample    do not deploy the sample app at the first start
  --help         this text
`;

/** A mistake of the operator: shown as one line, without a stack. */
export class OperatorError extends Error {}

function port(value, name) {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number > 65_535)
    throw new OperatorError(`${name} is "${value}": give a port from 0 to 65535.`);
  return number;
}

export function readOptions(argv, env) {
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        port: { type: "string" },
        "api-port": { type: "string" },
        data: { type: "string" },
        "no-sample": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new OperatorError(`${error.message}\n\n${usage}`);
  }
  return {
    help: values.help,
    port: port(values.port ?? env.DYNOKIT_PORT ?? "8080", "--port"),
    apiPort: port(values["api-port"] ?? env.DYNOKIT_API_PORT ?? "5000", "--api-port"),
    data: values.data ?? env.DYNOKIT_DATA ?? "data",
    sample: !values["no-sample"],
  };
}
