import type { Endpoint } from "../http/endpoint.ts";
import { accountEndpoints, rateLimitEndpoints } from "./account.ts";
import { appEndpoints } from "./apps.ts";
import { buildEndpoints } from "./builds.ts";
import { catalogEndpoints } from "./catalog.ts";
import { configVarEndpoints } from "./config-vars.ts";
import { domainEndpoints } from "./domains.ts";
import { dynoEndpoints } from "./dynos.ts";
import { formationEndpoints } from "./formation.ts";
import { logEndpoints } from "./logs.ts";
import { oauthEndpoints } from "./oauth.ts";
import { releaseEndpoints } from "./releases.ts";

/** The one table of the JSON API. */
export const endpoints: readonly Endpoint[] = [
  ...accountEndpoints,
  ...rateLimitEndpoints,
  ...oauthEndpoints,
  ...appEndpoints,
  ...configVarEndpoints,
  ...formationEndpoints,
  ...dynoEndpoints,
  ...releaseEndpoints,
  ...buildEndpoints,
  ...domainEndpoints,
  ...logEndpoints,
  ...catalogEndpoints,
];
