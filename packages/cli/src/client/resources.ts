/** The fields of the API's resources that the command line reads. */

export interface App {
  readonly id: string;
  readonly name: string;
  readonly maintenance: boolean;
  readonly web_url: string | null;
  readonly git_url: string;
  readonly owner: { readonly email: string };
  readonly region: { readonly name: string };
  readonly stack: { readonly name: string };
  readonly slug_size: number | null;
  readonly released_at: string | null;
  readonly created_at: string;
}

export interface Dyno {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly command: string;
  readonly size: string;
  readonly state: string;
  readonly updated_at: string;
  readonly release: { readonly id: string; readonly version: number };
  readonly attach_url: string | null;
  readonly crashes?: number;
  readonly next_attempt_at?: string | null;
}

export interface FormationEntry {
  readonly type: string;
  readonly quantity: number;
  readonly size: string;
  readonly command: string;
}

export interface Release {
  readonly id: string;
  readonly version: number;
  readonly description: string;
  readonly status: string;
  readonly current: boolean;
  readonly created_at: string;
  readonly user: { readonly email: string };
  readonly slug: { readonly id: string } | null;
  readonly output_stream_url: string | null;
  readonly eligible_for_rollback?: boolean;
}

export interface Build {
  readonly id: string;
  readonly status: string;
  readonly output_stream_url: string;
  readonly created_at: string;
  readonly release: { readonly id: string } | null;
  readonly user: { readonly email: string };
}

export type ConfigVars = Readonly<Record<string, string>>;
