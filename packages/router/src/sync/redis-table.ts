import { randomUUID } from "node:crypto";
import type { DrainHere, RouteMessage, SyncConnection } from "../table/sync.ts";
import type { RouterClock } from "../time/clock.ts";
import { type FieldChange, Mirror } from "./mirror.ts";
import { openRedisLink, type RedisLike, type RedisLink } from "./redis-link.ts";
import { CHANGE, READ, REFILL } from "./scripts.ts";

/** Settings of {@link RedisTable}, checked. */
export interface RedisTableSettings {
  readonly prefix: string;
  readonly checkMs: number;
  readonly onError: ((error: unknown) => void) | undefined;
  readonly clock: RouterClock;
}

/** What a connection may do with its table. */
export interface SharedTable {
  readonly receive: (message: RouteMessage) => void;
  readonly drain: DrainHere;
}

/** What travels behind the number of a change, or behind 0. */
type Published =
  | {
      readonly from: string;
      readonly changes: readonly FieldChange[];
      /** Redis had lost the table and has it back as the sender knew it. */
      readonly refilled?: true;
    }
  | { readonly from: string; readonly demand: string }
  | {
      readonly from: string;
      readonly ask: string;
      readonly drain: { readonly app: string; readonly id: string; readonly timeoutMs: number };
    }
  | { readonly from: string; readonly answer: string; readonly completed: boolean };

/** Fields in one command, and messages kept while the whole table is read. */
const BATCH = 1000;
const HELD = 10_000;
/** How long the end waits for the last changes. */
const LAST_WORD_MS = 1000;

/** One table's connection to the fields in Redis; see `redisSync`. */
export class RedisTable implements SyncConnection {
  readonly #table: SharedTable;
  readonly #settings: RedisTableSettings;
  readonly #keys: readonly [count: string, fields: string, version: string, era: string];
  readonly #link: RedisLink;
  readonly #me = randomUUID();
  readonly #mirror = new Mirror();
  /** Changes that Redis does not have yet. */
  readonly #pending = new Map<string, string | null>();
  /**
   * Fields that were sent and have not come back: until then the values of others are older than
   * ours, or newer and come again with the whole table.
   */
  readonly #travelling = new Map<string, string | null>();
  /** Fields whose last value came from here. */
  readonly #own = new Set<string>();
  readonly #asked = new Map<string, (completed: boolean) => void>();
  #version = 0;
  #era = "";
  #sending: Promise<void> | null = null;
  #reading = false;
  #readAgain = false;
  #held: string[] | null = null;
  #timer: unknown;
  #closing: Promise<void> | null = null;

  constructor(client: RedisLike, table: SharedTable, settings: RedisTableSettings) {
    const { prefix } = settings;
    this.#table = table;
    this.#settings = settings;
    this.#keys = ["3", prefix, `${prefix}:version`, `${prefix}:era`];
    this.#link = openRedisLink(client, prefix, {
      message: (text) => this.#heard(text),
      subscribed: () => void this.#read(),
    });
    this.#check();
  }

  get #topic(): string {
    return this.#settings.prefix;
  }

  send(message: RouteMessage): void {
    if (this.#closing !== null || message.type === "snapshot") return;
    if (message.type === "demand") {
      this.#publish({ from: this.#me, demand: message.app }).catch(() => {});
      return;
    }
    for (const change of this.#mirror.diff(message.app, message.record)) {
      const [field, value] = change;
      this.#mirror.set(change);
      this.#pending.set(field, value);
      if (value === null) this.#own.delete(field);
      else this.#own.add(field);
    }
    void this.#flush();
  }

  async drain(app: string, id: string, timeoutMs: number): Promise<boolean> {
    const { clock } = this.#settings;
    const ask = randomUUID();
    let missing = 0;
    let finish = (_completed: boolean) => {};
    const answered = new Promise<boolean>((resolve) => {
      finish = resolve;
    });
    const timer = clock.setTimeout(() => finish(false), timeoutMs);
    // An answer may be faster than the count.
    this.#asked.set(ask, (completed) => {
      if (--missing === 0 || !completed) finish(completed);
    });
    const asking = async () => {
      // The others must know that the dyno drains before they are asked to wait for it.
      await this.#flush();
      // Each listener counts, ours too, which needs no answer.
      missing += (await this.#publish({ from: this.#me, ask, drain: { app, id, timeoutMs } })) - 1;
      if (missing <= 0) finish(true);
    };
    asking().catch(() => {});
    const completed = await answered;
    this.#asked.delete(ask);
    clock.clearTimeout(timer);
    return completed;
  }

  async #publish(content: Published): Promise<number> {
    return Number(await this.#link.command("PUBLISH", this.#topic, `0 ${JSON.stringify(content)}`));
  }

  /** Sends what waits; resolves when all of it is in Redis, or when that failed for now. */
  #flush(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #sendAll(): Promise<void> {
    // Changes of one turn travel together.
    await Promise.resolve();
    while (this.#pending.size > 0) {
      const changes = [...this.#pending].slice(0, BATCH);
      for (const [field, value] of changes) {
        this.#pending.delete(field);
        this.#travelling.set(field, value);
      }
      const content = JSON.stringify({ from: this.#me, changes });
      const values = changes.flatMap(([field, value]) => [field, value ?? ""]);
      try {
        await this.#link.command(
          "EVAL",
          CHANGE,
          ...this.#keys,
          this.#topic,
          content,
          randomUUID(),
          ...values,
        );
      } catch {
        for (const [field, value] of changes) {
          this.#travelling.delete(field);
          if (!this.#pending.has(field)) this.#pending.set(field, value);
        }
        return;
      }
    }
  }

  #heard(text: string, late = false): void {
    if (this.#held !== null && !late) {
      if (this.#held.length < HELD) this.#held.push(text);
      else this.#readAgain = true;
      return;
    }
    const space = text.indexOf(" ");
    const version = Number(text.slice(0, space));
    let content: Published;
    try {
      content = JSON.parse(text.slice(space + 1));
    } catch (error) {
      this.#settings.onError?.(error);
      return;
    }
    if ("answer" in content) this.#asked.get(content.answer)?.(content.completed);
    else if ("demand" in content) {
      if (content.from !== this.#me) this.#receive({ type: "demand", app: content.demand });
    } else if ("drain" in content) {
      if (content.from !== this.#me) void this.#drainHere(content.ask, content.drain);
    } else if (version === this.#version + 1) {
      this.#version = version;
      this.#take(content.changes, content.from === this.#me);
    } else if (version > this.#version || !late || content.refilled) void this.#read();
  }

  async #drainHere(
    ask: string,
    {
      app,
      id,
      timeoutMs,
    }: { readonly app: string; readonly id: string; readonly timeoutMs: number },
  ): Promise<void> {
    const completed = await this.#table.drain(app, id, timeoutMs);
    await this.#publish({ from: this.#me, answer: ask, completed }).catch(() => {});
  }

  /** Takes changes over, but not where our own value is newer. */
  #take(changes: Iterable<FieldChange>, own: boolean): void {
    const touched = new Set<string>();
    for (const change of changes) {
      const [field, value] = change;
      if (own && this.#travelling.get(field) === value) this.#travelling.delete(field);
      if (this.#pending.has(field) || this.#travelling.has(field)) continue;
      const app = this.#mirror.set(change);
      if (app === undefined) continue;
      touched.add(app);
      if (!own) this.#own.delete(field);
    }
    for (const app of touched) {
      try {
        const record = this.#mirror.record(app);
        this.#receive({ type: "delta", version: this.#version, app, record });
      } catch (error) {
        this.#settings.onError?.(error);
      }
    }
  }

  #receive(message: RouteMessage): void {
    try {
      this.#table.receive(message);
    } catch (error) {
      this.#settings.onError?.(error);
    }
  }

  /** Reads the whole table: at the start, and when something was missed. */
  async #read(): Promise<void> {
    if (this.#reading || this.#closing !== null) {
      this.#readAgain = true;
      return;
    }
    this.#reading = true;
    do {
      this.#readAgain = false;
      this.#held = [];
      const sent = new Map(this.#travelling);
      try {
        const reply = await this.#link.command("EVAL", READ, ...this.#keys);
        const [version, era, flat] = reply as [string, string, string[]];
        if (Number(version) < this.#version) await this.#refill();
        else {
          if (this.#era !== "" && era !== this.#era) this.#assert();
          this.#era = era;
          // What was sent before is in this picture.
          for (const [field, value] of sent)
            if (this.#travelling.get(field) === value) this.#travelling.delete(field);
          this.#replace(Number(version), flat);
        }
      } catch {
        // Redis is away: the next check, or the next connection, reads again.
      }
      const held = this.#held;
      this.#held = null;
      for (const text of held) this.#heard(text, true);
    } while (this.#readAgain && this.#closing === null);
    this.#reading = false;
    void this.#flush();
  }

  #replace(version: number, flat: readonly string[]): void {
    const fields = new Map<string, string | null>();
    for (const [field] of this.#mirror.fields()) fields.set(field, null);
    for (let at = 0; at + 1 < flat.length; at += 2)
      fields.set(flat[at] as string, flat[at + 1] as string);
    this.#version = version;
    this.#take(fields, false);
  }

  /** After a loss somebody's picture is in Redis, and may lack what was said here last. */
  #assert(): void {
    for (const [field, value] of this.#mirror.fields())
      if (this.#own.has(field)) this.#pending.set(field, value);
  }

  async #refill(): Promise<void> {
    const content = JSON.stringify({ from: this.#me, changes: [], refilled: true });
    const version = String(this.#version);
    const fields = [...this.#mirror.fields()].flat();
    const era = randomUUID();
    const args = [...this.#keys, this.#topic, content, era, version, ...fields];
    // 0: somebody else was faster, and his picture is as new.
    if (Number(await this.#link.command("EVAL", REFILL, ...args)) === 0) this.#readAgain = true;
    else {
      this.#era = era;
      this.#travelling.clear();
    }
  }

  /** Looks now and then whether a message was missed, and sends what could not be sent. */
  #check(): void {
    const { clock, checkMs } = this.#settings;
    this.#timer = clock.setTimeout(() => {
      if (this.#closing !== null) return;
      this.#link.command("GET", this.#keys[2]).then(
        (version) => {
          if (Number(version ?? 0) !== this.#version) void this.#read();
        },
        () => {},
      );
      void this.#flush();
      this.#check();
    }, checkMs);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { clock } = this.#settings;
    clock.clearTimeout(this.#timer);
    for (const answered of this.#asked.values()) answered(false);
    let timer: unknown;
    const patience = new Promise<void>((resolve) => {
      timer = clock.setTimeout(resolve, LAST_WORD_MS);
    });
    await Promise.race([this.#flush(), patience]);
    clock.clearTimeout(timer);
    this.#link.close();
  }
}
