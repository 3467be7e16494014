import type { Endpoint } from "../http/endpoint.ts";
import { accountEndpoints, rateLimitEndpoints } from "./account.ts";
import { appEndpoints } from "./apps.ts";
import { buildpackEndpoints } from "./buildpacks.ts";
import { buildEndpoints } from "./builds.ts";
import { catalogEndpoints } from "./catalog.ts";
import { certificateEndpoints } from "./certificates.ts";
import { clientEndpoints } from "./clients.ts";
import { collaboratorEndpoints } from "./collaborators.ts";
import { configVarEndpoints } from "./config-vars.ts";
import { couplingEndpoints } from "./couplings.ts";
import { domainEndpoints } from "./domains.ts";
import { dynoEndpoints } from "./dynos.ts";
import { emptyEndpoints } from "./empty.ts";
import { allFeatureEndpoints } from "./features.ts";
import { formationEndpoints } from "./formation.ts";
import { logEndpoints } from "./logs.ts";
import { metricEndpoints } from "./metrics.ts";
import { oauthEndpoints } from "./oauth.ts";
import { oauthTokenEndpoints } from "./oauth-tokens.ts";
import { pipelineEndpoints } from "./pipelines.ts";
import { promotionEndpoints } from "./promotions.ts";
import { releaseEndpoints } from "./releases.ts";
import { routerSettingEndpoints } from "./router-settings.ts";
import { runEndpoints } from "./runs.ts";
import { settingEndpoints } from "./settings.ts";
import { setupEndpoints } from "./setups.ts";
import { teamAppEndpoints } from "./team-apps.ts";
import { transferEndpoints } from "./transfers.ts";
import { webhookEndpoints } from "./webhooks.ts";

/** The one table of the JSON API. */
export const endpoints: readonly Endpoint[] = [
  ...accountEndpoints,
  ...rateLimitEndpoints,
  ...oauthEndpoints,
  ...clientEndpoints,
  ...oauthTokenEndpoints,
  ...appEndpoints,
  ...allFeatureEndpoints,
  ...buildpackEndpoints,
  ...collaboratorEndpoints,
  ...configVarEndpoints,
  ...settingEndpoints,
  ...formationEndpoints,
  ...dynoEndpoints,
  ...runEndpoints,
  ...releaseEndpoints,
  ...buildEndpoints,
  ...domainEndpoints,
  ...certificateEndpoints,
  ...routerSettingEndpoints,
  ...logEndpoints,
  ...metricEndpoints,
  ...webhookEndpoints,
  ...pipelineEndpoints,
  ...couplingEndpoints,
  ...promotionEndpoints,
  ...transferEndpoints,
  ...setupEndpoints,
  ...teamAppEndpoints,
  ...catalogEndpoints,
  ...emptyEndpoints,
];
