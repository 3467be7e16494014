/** What goes into a build and what comes out of it (spec/platform-api.md §6.2, §9 slug). */

/** A tar, gzipped or not, on this machine. A single top-level directory is stripped. */
export interface TarballSource {
  readonly kind: "tarball";
  readonly path: string;
}

/** A directory of this machine; it is copied, never changed. */
export interface DirectorySource {
  readonly kind: "directory";
  readonly path: string;
}

/** A commit of a repository on this machine, bare or not. */
export interface GitSource {
  readonly kind: "git";
  readonly repository: string;
  /** Full id of a commit. */
  readonly commit: string;
  /** `GIT_OBJECT_DIRECTORY` of a push that is not accepted yet. */
  readonly objectDirectory?: string;
  /** `GIT_ALTERNATE_OBJECT_DIRECTORIES` of such a push. */
  readonly alternateObjectDirectories?: string;
}

/** A tar that the builder downloads itself; addresses of private networks are refused. */
export interface UrlSource {
  readonly kind: "url";
  readonly url: string;
}

/** Where the code of a build is. */
export type BuildSource = TarballSource | DirectorySource | GitSource | UrlSource;

/** A buildpack as the API stores it. */
export interface BuildpackReference {
  /** Name of a bundled or registered buildpack, a git URL (`#ref` allowed), or a URL of a tarball. */
  readonly url: string;
  /** Name for the output; default: what the URL says. */
  readonly name?: string;
}

/** One build. */
export interface BuildRequest {
  /** Unique; given to buildpacks as `REQUEST_ID`. */
  readonly id: string;
  /** `id` keys the cache and the queue: builds of one app run one after the other. */
  readonly app: { readonly id: string; readonly name: string };
  readonly source: BuildSource;
  /** `SHA256:<hex>` of the tarball as received; only for `tarball` and `url`. */
  readonly checksum?: string;
  /** In order. Empty or absent: the first bundled buildpack that detects the app. */
  readonly buildpacks?: readonly BuildpackReference[];
  /** Config vars. Buildpacks get them as files of `ENV_DIR`, never as environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Commit for `SOURCE_VERSION` and the slug; default: the commit of a git source. */
  readonly commit?: string;
  /** Cancels the build, queued or running. */
  readonly signal?: AbortSignal;
  /** Receives what the user should see, in order. Must not throw; errors are ignored. */
  readonly output: (chunk: Uint8Array) => void;
}

/** A finished slug: an immutable gzipped tar of the app directory, without a leading directory. */
export interface BuiltSlug {
  /** A UUID made from the archive's content: equal content, equal id. */
  readonly id: string;
  /** `SHA256:<hex>` of the archive. */
  readonly checksum: string;
  /** The archive on this machine. */
  readonly path: string;
  /** Bytes of the archive. */
  readonly size: number;
  /** Name to command: the buildpack's defaults overridden by the Procfile (spec/procfile.md §1 rule 11). */
  readonly processTypes: Readonly<Record<string, string>>;
  /** Name of the stack it was built for. */
  readonly stack: string;
  readonly commit?: string;
  /** What the buildpacks called the app, `Node.js`; several are joined by commas. */
  readonly buildpackDescription?: string;
}

/** An archive that was built elsewhere (spec/platform-api.md §6.2, "prebuilt code"). */
export interface ImportSlugInput {
  /** A tar, gzipped or not; its content may live under `./app`. */
  readonly path: string;
  readonly checksum?: string;
  readonly processTypes: Readonly<Record<string, string>>;
  readonly commit?: string;
  readonly buildpackDescription?: string;
  /** Default: the builder's stack. */
  readonly stack?: string;
  readonly signal?: AbortSignal;
}

/** A file to look at before anything is built, such as `app.json`. */
export interface ReadFileInput {
  readonly source: BuildSource;
  /** `SHA256:<hex>` of the tarball as received; only for `tarball` and `url`. */
  readonly checksum?: string;
  /** Name of a file in the root of the source, without a directory. */
  readonly name: string;
  /** Default 1 MiB. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}
