// Flags of a node, checked before anything is opened.
import { parseArgs } from "node:util";

export const usage = `Usage: node examples/cluster/main.mjs --database URL --redis URL [options]

  --database URL   PostgreSQL, the same for all nodes     (DATABASE_URL)
  --redis URL      Redis, the same for all nodes          (REDIS_URL; also the path of a socket)
  --data DIR       slugs, repositories, certificates: a directory that all nodes see (./data)
  --host HOST      where the router and the API listen    (127.0.0.1)
  --port N         of the router                          (8080)
  --api-port N     of the API, git, console and streams   (5000)
  --inside HOST    address of this node for the others    (127.0.0.1)
  --name NAME      of the platform in PostgreSQL and Redis; letters, digits and _ (dynokit)
  --help           this text
`;

/** A mistake of the operator: shown as one line, without a stack. */
export class OperatorError extends Error {}

function port(value, name) {
  if (!/^\d+$/.test(value) || Number(value) > 65_535)
    throw new OperatorError(`${name} is "${value}": give a port from 0 to 65535.`);
  return Number(value);
}

function needed(value, name) {
  if (value === undefined || value === "")
    throw new OperatorError(`${name} is missing; see --help.`);
  return value;
}

export function readOptions(argv, env) {
  const text = (value) => ({ type: "string", ...(value === undefined ? {} : { default: value }) });
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        database: text(env.DATABASE_URL),
        redis: text(env.REDIS_URL),
        data: text("data"),
        host: text("127.0.0.1"),
        port: text("8080"),
        "api-port": text("5000"),
        inside: text("127.0.0.1"),
        name: text("dynokit"),
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new OperatorError(`${error.message}\n\n${usage}`);
  }
  if (values.help) return { help: true };
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(values.name))
    throw new OperatorError(`--name is "${values.name}": give up to 31 letters, digits and _.`);
  return {
    help: false,
    database: needed(values.database, "--database"),
    redis: needed(values.redis, "--redis"),
    data: values.data,
    host: values.host,
    port: port(values.port, "--port"),
    apiPort: port(values["api-port"], "--api-port"),
    inside: values.inside,
    name: values.name,
  };
}
