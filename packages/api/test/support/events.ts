/** One block of an event stream. */
export interface Block {
  readonly id: string | undefined;
  readonly event: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of many shapes.
  readonly data: any;
}

/** Reads an event stream block by block; a block with data is what a client would see. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = "";
  /** As a client keeps it: the last number that was sent, also without data. */
  lastId = "";

  constructor(response: Response) {
    if (!response.body) throw new Error("the answer has no body");
    this.#reader = response.body.getReader();
  }

  /** The next block with data; undefined at the end of the stream. */
  async next(): Promise<Block | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end < 0) {
        const { done, value } = await this.#reader.read();
        if (done) return undefined;
        this.#text += Buffer.from(value).toString("utf8");
        continue;
      }
      const lines = this.#text.slice(0, end).split("\n");
      this.#text = this.#text.slice(end + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [id, data] = [field("id"), field("data")];
      if (id !== undefined) this.lastId = id;
      if (data !== undefined) return { id, event: field("event"), data: JSON.parse(data) };
    }
  }

  async take(count: number): Promise<Block[]> {
    const blocks: Block[] = [];
    while (blocks.length < count) {
      const block = await this.next();
      if (!block) break;
      blocks.push(block);
    }
    return blocks;
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}
