import { fileURLToPath } from "node:url";

const commands = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));

// The lines that `npm start` ends with: addresses, and commands ready to paste.
export function whatToTry({ platform, data, token, sample }) {
  const { api, routerUrl, routerPort } = platform;
  const url = api.publicUrl;
  const lines = [
    "",
    "dynokit is running. Ctrl-C stops it and every dyno.",
    "",
    `  Router   ${routerUrl}   apps answer at http://<name>.localhost:${routerPort}/`,
    `  API      ${url}`,
    `  Console  ${url}/console/`,
    `  Token    ${token}   (also in ${data}/token)`,
    "",
    "Try next, in another terminal:",
    "",
  ];
  if (sample) lines.push(`  curl -H 'Host: sample.localhost' ${routerUrl}/`, "");
  lines.push(
    `  export PATH=${commands}:$PATH`,
    `  dynokit login ${url} --ca ${data}/tls/ca.pem < ${data}/token`,
    "  dynokit status; dynokit logs --tail -a sample",
    "",
    "The same API with curl:",
    "",
    `  export TOKEN=$(cat ${data}/token) API=${url}`,
    `  curl -H "Authorization: Bearer $TOKEN" $API/apps`,
    `  curl -X PATCH -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\`,
    `       -d '{"GREETING": "Hi"}' $API/apps/sample/config-vars`,
    "",
    "The official heroku CLI, unmodified (keep all lines: they also keep your token on this machine):",
    "",
    `  export HEROKU_HOST=${url.replace("127.0.0.1", "localhost")}`,
    `  export HEROKU_PARTICLEBOARD_URL=$HEROKU_HOST`,
    `  export HEROKU_API_KEY=$(cat ${data}/token) HEROKU_NETRC_WRITE=true DISABLE_TELEMETRY=true`,
    `  export NODE_EXTRA_CA_CERTS=${data}/tls/ca.pem GIT_SSL_CAINFO=${data}/tls/ca.pem`,
    "  heroku ps -a sample; heroku logs --tail -a sample",
    "",
  );
  return lines.join("\n");
}
