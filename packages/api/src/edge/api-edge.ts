import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { EventHub } from "../events/hub.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { createEdge, type Edge, type EdgeListenOptions } from "./edge.ts";
import type { GitAccess, GitAccessRequest } from "./git-access.ts";
import type { GitPush } from "./git-push.ts";
import { type CertificateProvider, openLocalAuthority } from "./local-authority.ts";

/** The part of an `Api` that its edge works with. */
export interface EdgeApi {
  handle(request: IncomingMessage, response: ServerResponse): void;
  gitAccess(request: GitAccessRequest): Promise<GitAccess>;
  gitPush(push: GitPush): Promise<void>;
}

/** How the API appears on the network. */
export interface ApiEdgeSettings {
  /** Certificates. Default: an authority of this installation; false: no TLS and no attaching. */
  readonly tls?: CertificateProvider | false;
  /** Names and addresses for the default authority's certificate beside the local ones. */
  readonly names?: readonly string[];
  /** Serve git repositories. Default true; needs the `git` program at the first push. */
  readonly git?: boolean;
  /** Host of `attach_url`. Default `localhost`. */
  readonly publicHost?: string;
  /** Port of `attach_url`. Default: the port listened on. */
  readonly publicPort?: number;
}

/** Options of {@link ApiEdge}. */
export interface ApiEdgeOptions extends ApiEdgeSettings {
  /** For the authority (`tls`) and the repositories (`git`); made if absent. */
  readonly directory: string;
  readonly events: EventHub;
  readonly checkContinue?: (request: IncomingMessage, response: ServerResponse) => void;
  readonly logger?: Logger;
}

/**
 * The edge of one API: its port, its certificates and its repositories. A repository goes when
 * its app is destroyed.
 */
export class ApiEdge {
  readonly edge: Edge;
  /** The certificate that clients must trust; undefined with certificates of one's own. */
  readonly caPath: string | undefined;
  readonly #options: ApiEdgeOptions;
  readonly #logger: Logger;
  readonly #stopFollowing: () => void;
  #authority: Promise<CertificateProvider> | undefined;
  #sequence: number | undefined;
  #following: Promise<void> = Promise.resolve();

  constructor(api: EdgeApi, options: ApiEdgeOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    const { tls, directory } = options;
    this.caPath = tls === undefined ? join(directory, "tls", "ca.pem") : undefined;
    const provider: CertificateProvider | undefined =
      tls === false ? undefined : (tls ?? { certificate: (name) => this.#certificate(name) });
    this.edge = createEdge({
      handler: (request, response) => api.handle(request, response),
      logger: this.#logger,
      ...(options.checkContinue && { checkContinue: options.checkContinue }),
      ...(provider && { tls: provider }),
      ...(options.git !== false && {
        git: {
          directory: join(directory, "git"),
          access: (request) => api.gitAccess(request),
          push: (push) => api.gitPush(push),
        },
      }),
      ...(options.publicHost !== undefined && { publicHost: options.publicHost }),
      ...(options.publicPort !== undefined && { publicPort: options.publicPort }),
    });
    this.#stopFollowing = options.events.onWake(() => this.#follow());
  }

  /** Listens; a new authority is made meanwhile, the first TLS client waits for it. */
  async listen(options: EdgeListenOptions): Promise<{ readonly port: number }> {
    this.#sequence = await this.#options.events.lastSequence();
    const address = await this.edge.listen(options);
    if (this.caPath !== undefined)
      this.#openAuthority().catch((error: unknown) => {
        this.#logger.error({ error: String(error) }, "There is no certificate authority");
      });
    return address;
  }

  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#stopFollowing();
    await this.edge.close(options);
    await this.#authority?.catch(() => undefined);
    await this.#following;
  }

  async #certificate(name: string | undefined) {
    const authority = await this.#openAuthority();
    return await authority.certificate(name);
  }

  #openAuthority(): Promise<CertificateProvider> {
    this.#authority ??= openLocalAuthority({
      directory: join(this.#options.directory, "tls"),
      ...(this.#options.names && { names: this.#options.names }),
    }).catch((error: unknown) => {
      // The next client tries again.
      this.#authority = undefined;
      throw error;
    });
    return this.#authority;
  }

  #follow(): void {
    this.#following = this.#following
      .then(() => this.#removeRepositories())
      .catch((error: unknown) => {
        this.#logger.error({ error: String(error) }, "Old repositories could not be removed");
      });
  }

  async #removeRepositories(): Promise<void> {
    if (this.#sequence === undefined) return;
    for (;;) {
      const events = await this.#options.events.after(this.#sequence);
      for (const { sequence, resource, action, app_id } of events) {
        if (resource === "app" && action === "destroy" && app_id !== null)
          await this.edge.removeRepository(app_id);
        this.#sequence = sequence;
      }
      if (events.length === 0) return;
    }
  }
}
