import type { Generated } from "kysely";

/** Times are ISO 8601 text, flags are 0 or 1, documents are JSON text: the same on both engines. */
interface Stamped {
  id: string;
  created_at: string;
  updated_at: string;
}

export interface AccountRow extends Stamped {
  email: string;
  name: string | null;
  password_hash: string | null;
  admin: number;
  allow_tracking: number;
  beta: number;
  last_login: string | null;
  suspended_at: string | null;
}

export interface AuthorizationRow extends Stamped {
  account_id: string;
  description: string;
  scope: string;
  client_id: string | null;
  token_id: string;
  token_hash: string;
  /** The first characters, to recognise it by; the token itself is nowhere. */
  token_prefix: string;
  expires_at: string | null;
  refresh_id: string | null;
  refresh_hash: string | null;
  grant_id: string | null;
  grant_hash: string | null;
  grant_expires_at: string | null;
  last_used_at: string | null;
}

export interface ClientRow extends Stamped {
  account_id: string;
  name: string;
  redirect_uri: string;
  secret_hash: string;
}

export interface AppRow extends Stamped {
  name: string;
  owner_id: string;
  region: string;
  stack: string;
  build_stack: string;
  maintenance: number;
  acm: number;
  archived_at: string | null;
  released_at: string | null;
  buildpack_provided_description: string | null;
  slug_size: number | null;
  repo_size: number | null;
  buildpacks: string;
  config_settings: string;
}

/** What an app set of its router, sealed. */
export interface RouterSettingsRow {
  app_id: string;
  sealed: string;
  created_at: string;
  updated_at: string;
}

export interface CollaboratorRow extends Stamped {
  app_id: string;
  account_id: string;
  role: string;
  permissions: string;
}

/** Config vars of a release, immutable and sealed. */
export interface ConfigRow {
  id: string;
  app_id: string;
  sealed: string;
  created_at: string;
}

export interface SlugRow extends Stamped {
  app_id: string;
  /** Id in the builder's store; `null` until the archive is uploaded. */
  blob_id: string | null;
  path: string | null;
  checksum: string | null;
  size: number | null;
  process_types: string;
  stack: string;
  commit_id: string | null;
  commit_description: string | null;
  buildpack_provided_description: string | null;
}

export interface ReleaseRow extends Stamped {
  app_id: string;
  version: number;
  description: string;
  status: string;
  current: number;
  slug_id: string | null;
  config_id: string;
  user_id: string;
  user_email: string;
  output_id: string | null;
  /** Number of the process that made it, which decides it while it is pending. */
  owner: number;
}

export interface BuildRow extends Stamped {
  app_id: string;
  status: string;
  buildpacks: string | null;
  source: string;
  stack: string;
  slug_id: string | null;
  release_id: string | null;
  user_id: string;
  user_email: string;
  /** Number of the process that builds. */
  owner: number;
}

export interface ProcessRow extends Stamped {
  app_id: string;
  type: string;
  quantity: number;
  size: string;
}

export interface DomainRow extends Stamped {
  app_id: string;
  hostname: string;
  kind: string;
  cname: string | null;
  status: string;
  acm_status: string | null;
  acm_status_reason: string | null;
  sni_endpoint_id: string | null;
}

export interface CertificateRow extends Stamped {
  app_id: string;
  name: string;
  certificate_chain: string;
  sealed_key: string;
  details: string;
}

export interface DrainRow extends Stamped {
  app_id: string;
  sealed_url: string;
  token: string;
}

export interface FeatureRow {
  /** Id of an app or an account. */
  owner_id: string;
  name: string;
  enabled: number;
  created_at: string;
  updated_at: string;
}

export interface WebhookRow extends Stamped {
  app_id: string;
  include: string;
  level: string;
  url: string;
  sealed_secret: string;
  sealed_authorization: string | null;
  failing_since: string | null;
}

export interface DeliveryRow extends Stamped {
  app_id: string;
  webhook_id: string;
  event_id: string;
  event_include: string;
  status: string;
  attempts: number;
  next_attempt_at: string | null;
  last_at: string | null;
  last_code: number | null;
  last_error: string | null;
}

/** The audit trail, the source of webhooks and of `GET /events`. */
export interface EventRow {
  sequence: Generated<number>;
  id: string;
  app_id: string | null;
  resource: string;
  action: string;
  actor_id: string;
  actor_email: string;
  data: string;
  previous_data: string;
  created_at: string;
}

export interface PipelineRow extends Stamped {
  name: string;
  owner_id: string;
}

export interface CouplingRow extends Stamped {
  app_id: string;
  pipeline_id: string;
  stage: string;
}

export interface PromotionRow extends Stamped {
  pipeline_id: string;
  source_app_id: string;
  source_release_id: string;
  status: string;
}

export interface PromotionTargetRow {
  id: string;
  promotion_id: string;
  app_id: string;
  release_id: string | null;
  status: string;
  error_message: string | null;
}

export interface StageConfigRow {
  pipeline_id: string;
  stage: string;
  sealed: string;
}

export interface TransferRow extends Stamped {
  app_id: string;
  owner_id: string;
  recipient_id: string;
  state: string;
}

/** Outlives its app when it failed, so that the reason can be read. */
export interface SetupRow extends Stamped {
  app_id: string;
  app_name: string;
  account_id: string;
  build_id: string | null;
  status: string;
  failure_message: string | null;
  manifest_errors: string;
  success_url: string | null;
  postdeploy_code: number | null;
  /** `null` until a postdeploy script has ended. */
  postdeploy_output: string | null;
  /** Number of the process that sets up. */
  owner: number;
}

export interface IdempotencyRow {
  account_id: string;
  key: string;
  fingerprint: string;
  /** 0 while the first request runs. */
  status: number;
  headers: string;
  sealed_body: string;
  /** Number of the process that runs the first request. */
  owner: number;
  created_at: string;
}

/** A sign-in through the browser that the CLI waits for. */
export interface LoginRow {
  /** Hash of what the addresses of the page and of the CLI's wait carry. */
  id: string;
  secret_hash: string;
  description: string;
  /** The token, from the sign-in until the CLI takes it. */
  sealed_token: string | null;
  expires_at: string;
  created_at: string;
}

/** A one-off dyno that was asked for through the API. Its id is the dyno's. */
export interface RunRow extends Stamped {
  app_id: string;
  /** From 1 within the app, never used again. */
  number: number;
  name: string;
  type: string;
  command: string;
  size: string;
  release_id: string;
  release_version: number;
  /** `running`, `ended`, or `lost` when nobody saw the end. */
  status: string;
  exit_code: number | null;
  signal: string | null;
  error: string | null;
  ended_at: string | null;
  user_id: string;
  user_email: string;
  /** Number of the process that started it. */
  owner: number;
}

/** All tables. */
export interface Tables {
  accounts: AccountRow;
  authorizations: AuthorizationRow;
  clients: ClientRow;
  apps: AppRow;
  collaborators: CollaboratorRow;
  configs: ConfigRow;
  slugs: SlugRow;
  releases: ReleaseRow;
  builds: BuildRow;
  processes: ProcessRow;
  domains: DomainRow;
  certificates: CertificateRow;
  drains: DrainRow;
  features: FeatureRow;
  router_settings: RouterSettingsRow;
  webhooks: WebhookRow;
  deliveries: DeliveryRow;
  events: EventRow;
  pipelines: PipelineRow;
  couplings: CouplingRow;
  promotions: PromotionRow;
  promotion_targets: PromotionTargetRow;
  stage_configs: StageConfigRow;
  transfers: TransferRow;
  setups: SetupRow;
  idempotency: IdempotencyRow;
  logins: LoginRow;
  runs: RunRow;
}

/** Names of all tables, those that others point at first. */
export const tableNames = [
  "accounts",
  "clients",
  "authorizations",
  "apps",
  "collaborators",
  "configs",
  "slugs",
  "releases",
  "builds",
  "processes",
  "certificates",
  "domains",
  "drains",
  "features",
  "router_settings",
  "webhooks",
  "deliveries",
  "events",
  "pipelines",
  "couplings",
  "promotions",
  "promotion_targets",
  "stage_configs",
  "transfers",
  "setups",
  "idempotency",
  "logins",
  "runs",
] as const satisfies readonly (keyof Tables)[];
