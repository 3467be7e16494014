/** Fill of the buffer at which writers wait, and at which they go on. */
const BLOCK_AT = 0.75;
const RELIEVED_AT = 0.5;

/** Lets writers wait while the buffer of a drain that may lose nothing is full. */
export class Relief {
  readonly #fill: () => number;
  /** Whether the drain asks writers to wait at all now. */
  readonly #blocks: () => boolean;
  #wait: Promise<void> | undefined;
  #release: (() => void) | undefined;

  constructor(options: { readonly fill: () => number; readonly blocks: () => boolean }) {
    this.#fill = options.fill;
    this.#blocks = options.blocks;
  }

  /** A promise while more than three quarters of the buffer wait; undefined: go on. */
  get wait(): Promise<void> | undefined {
    if (!this.#blocks() || this.#fill() < BLOCK_AT) return undefined;
    this.#wait ??= new Promise((resolve) => {
      this.#release = resolve;
    });
    return this.#wait;
  }

  /** Lets writers go on when half of the buffer is free, or nothing blocks any more. */
  check(): void {
    if (!this.#release) return;
    if (this.#blocks() && this.#fill() > RELIEVED_AT) return;
    this.#release();
    this.#release = undefined;
    this.#wait = undefined;
  }
}
