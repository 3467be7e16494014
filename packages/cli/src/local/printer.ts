import type { LogBatch, LogSink } from "@dynokit/manifold";
import type { Terminal } from "../output/terminal.ts";

export interface PrinterOptions {
  readonly output: NodeJS.WritableStream;
  readonly colour: Terminal["colour"];
  /** `web.1 | ` before every line. */
  readonly prefix: boolean;
  readonly timestamps: boolean;
  /** Lines of the manifold and the router too. */
  readonly verbose: boolean;
  /** Columns of the widest name. */
  readonly width: number;
}

const newline = Buffer.from("\n");

/** Writes output of dynos as it came, byte for byte, with a name before each line. */
export class Printer implements LogSink {
  readonly #options: PrinterOptions;
  readonly #colours = new Map<string, (text: string) => string>();
  #waiting: Promise<void> | undefined;
  #closed = false;

  constructor(options: PrinterOptions) {
    this.#options = options;
  }

  /** A promise when the reader of our output is slow: then the dynos wait too. */
  write({ source, proc, lines, at }: LogBatch): void | Promise<void> {
    if (source !== "app" && !this.#options.verbose) return undefined;
    const head = Buffer.from(this.#head(proc, at, source !== "app"));
    return this.#put(
      Buffer.concat(
        lines.flatMap((line) => [
          head,
          line.at(-1) === 0x0d ? line.subarray(0, -1) : line,
          newline,
        ]),
      ),
    );
  }

  /** A line of `dynokit local` itself. */
  say(text: string, at: number = Date.now()): void {
    const head = this.#options.prefix ? this.#head("local", at, true) : "";
    void this.#put(
      Buffer.from(
        text
          .split("\n")
          .map((line) => `${head}${line}\n`)
          .join(""),
      ),
    );
  }

  /** Nobody reads any more: the rest is dropped. */
  end(): void {
    this.#closed = true;
  }

  #head(name: string, at: number, quiet: boolean): string {
    const { colour, prefix, timestamps, width } = this.#options;
    const time = timestamps ? `${colour.dim(clockTime(new Date(at)))} ` : "";
    if (!prefix) return time;
    const label = `${name.padEnd(width)} |`;
    return `${time}${quiet ? colour.dim(label) : this.#colourOf(name)(label)} `;
  }

  #colourOf(name: string): (text: string) => string {
    const type = name.slice(0, name.lastIndexOf("."));
    let paint = this.#colours.get(type);
    if (!paint) {
      const { cyan, yellow, green, magenta, blue, red } = this.#options.colour;
      const all = [cyan, yellow, green, magenta, blue, red];
      paint = all[this.#colours.size % all.length] as (text: string) => string;
      this.#colours.set(type, paint);
    }
    return paint;
  }

  #put(bytes: Buffer): void | Promise<void> {
    if (this.#closed || bytes.length === 0) return undefined;
    const { output } = this.#options;
    if (output.write(bytes) !== false) return this.#waiting;
    this.#waiting ??= new Promise<void>((resolve) => {
      const done = () => {
        output.off("drain", done);
        output.off("error", done);
        this.#waiting = undefined;
        resolve();
      };
      output.on("drain", done);
      output.on("error", done);
    });
    return this.#waiting;
  }
}

const two = (value: number) => String(value).padStart(2, "0");

/** Local time to the second, as developers read it. */
function clockTime(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
