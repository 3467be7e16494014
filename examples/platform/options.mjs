// Flags, environment and defaults of the example platform, checked before anything is opened.
import { parseArgs } from "node:util";

export const usage = `Usage: npm start -- [options]

  --port N       port of the router, where apps answer        (DYNOKIT_PORT, default 8080)
  --api-port N   port of the API, git, console and log streams (DYNOKIT_API_PORT, default 5000)
  --data DIR     everything that is kept                       (DYNOKIT_DATA, default ./data)
  --driver NAME  what runs dynos: process, sandbox or docker   (DYNOKIT_DRIVER, default process)
  --egress NAME  what sandboxes (default none) and containers (default open) reach: none, open,
                 or host, the network of this host             (DYNOKIT_EGRESS)
  --image NAME   image of containers, which the engine has; default one that is made of this
                 machine's Node and shell                      (DYNOKIT_IMAGE)
  --docker-socket PATH  of the engine           (DYNOKIT_DOCKER_SOCKET, default /var/run/docker.sock)
  DYNOKIT_ADMIN_PASSWORD is the password of admin@localhost, made at the first start
  --no-sample    do not deploy the sample app at the first start
  --help         this text
`;

const drivers = ["process", "sandbox", "docker"];

/** A mistake of the operator: shown as one line, without a stack. */
export class OperatorError extends Error {}

function port(value, name) {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number > 65_535)
    throw new OperatorError(`${name} is "${value}": give a port from 0 to 65535.`);
  return number;
}

function choice(value, name, known) {
  if (value === undefined || known.includes(value)) return value;
  throw new OperatorError(`${name} is "${value}": give one of ${known.join(", ")}.`);
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
        driver: { type: "string" },
        egress: { type: "string" },
        image: { type: "string" },
        "docker-socket": { type: "string" },
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
    driver: choice(values.driver ?? env.DYNOKIT_DRIVER ?? "process", "--driver", drivers),
    egress: choice(values.egress ?? env.DYNOKIT_EGRESS, "--egress", ["none", "open", "host"]),
    image: values.image ?? env.DYNOKIT_IMAGE,
    dockerSocket: values["docker-socket"] ?? env.DYNOKIT_DOCKER_SOCKET ?? "/var/run/docker.sock",
    sample: !values["no-sample"],
    password: env.DYNOKIT_ADMIN_PASSWORD,
  };
}
