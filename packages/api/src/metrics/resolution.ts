/** How far back a series reaches and how fine it is. */
export interface Resolution {
  readonly stepSeconds: number;
  /** How many steps are kept. */
  readonly steps: number;
}

/** The spans that series are kept for, by the word that asks for them. */
export const resolutions = {
  "30m": { stepSeconds: 10, steps: 180 },
  "24h": { stepSeconds: 300, steps: 288 },
} as const satisfies Record<string, Resolution>;

/** A key of {@link resolutions}. */
export type Span = keyof typeof resolutions;

/** Every {@link Span}, the default first. */
export const spans = ["30m", "24h"] as const satisfies readonly Span[];

/** The step that a time in ms belongs to, counted from the epoch. */
export function stepOf({ stepSeconds }: Resolution, ms: number): number {
  return Math.floor(ms / 1000 / stepSeconds);
}
