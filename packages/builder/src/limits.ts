/** Upper bounds of one build. Every one of them ends the build with a `BuilderError`. */
export interface BuilderLimits {
  /** Bytes of the source archive as received. Default 1 GiB. */
  readonly maxSourceBytes: number;
  /** Bytes of all files after unpacking. Default 4 GiB. */
  readonly maxUnpackedBytes: number;
  /** Files, directories and links of an archive or a slug. Default 200 000. */
  readonly maxFiles: number;
  /** Unpacked bytes for each packed byte, counted from the first MiB on. Default 200. */
  readonly maxRatio: number;
  /** Bytes of the finished slug archive. Default 500 MiB, as on Heroku. */
  readonly maxSlugBytes: number;
  /** Bytes of an app's build cache; a larger one is dropped after the build. Default 2 GiB. */
  readonly maxCacheBytes: number;
  /** Bytes of build output passed on; the rest is counted and announced. Default 16 MiB. */
  readonly maxOutputBytes: number;
  /** Bytes on the disk that one build may take while it runs, source and cache included. Default 8 GiB. */
  readonly maxWorkBytes: number;
  /** Bytes that builds leave free on the disk for everything else. Default 256 MiB. */
  readonly minFreeBytes: number;
  /** ms for a whole build, time in the queue not counted. Default 15 minutes. */
  readonly timeoutMs: number;
  /** Builds that may wait, over all apps; more are refused with `queue-full`. Default 100. */
  readonly maxQueued: number;
}

const MiB = 1024 * 1024;

/** The values used for what the caller leaves out. */
export const defaultLimits: BuilderLimits = Object.freeze({
  maxSourceBytes: 1024 * MiB,
  maxUnpackedBytes: 4096 * MiB,
  maxFiles: 200_000,
  maxRatio: 200,
  maxSlugBytes: 500 * MiB,
  maxCacheBytes: 2048 * MiB,
  maxOutputBytes: 16 * MiB,
  maxWorkBytes: 8192 * MiB,
  minFreeBytes: 256 * MiB,
  timeoutMs: 15 * 60_000,
  maxQueued: 100,
});
