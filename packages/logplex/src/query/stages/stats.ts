import type { StoredMessage } from "../../message.ts";
import type { Aggregate, FieldReference } from "../ast.ts";
import { quoteLogfmt } from "../logfmt.ts";
import type { Row, StageRun } from "../pipeline.ts";
import { parseQuantity, type Quantity } from "../units.ts";
import { MessageView } from "../view.ts";
import { fieldLabel, valueText } from "./reshape.ts";
import { MAX_KEYS } from "./throttle.ts";

const OTHER = "(other)";
const EXACT_VALUES = 1024;
const BUCKET_BASE = Math.log(1.02);

interface Group {
  readonly labels: readonly string[];
  readonly accumulators: readonly Accumulator[];
}

/**
 * Counts and summaries per group. Without `every` the rows come at the end, else whenever a
 * message of a later interval arrives. Beyond 10,000 groups the rest counts as `(other)`.
 */
export function createStats(
  aggregates: readonly Aggregate[],
  by: readonly FieldReference[],
  everyUs: number | undefined,
): StageRun {
  const view = new MessageView();
  let groups = new Map<string, Group>();
  let interval = -1;
  let last: StoredMessage | undefined;

  const report = (message: StoredMessage, atUs: number, emit: (row: Row) => void) => {
    for (const group of groups.values()) emit(resultRow(message, atUs, by, aggregates, group));
    groups = new Map();
  };
  const groupOf = (): Group => {
    const labels = by.map((field) => valueText(view.value(field)) ?? "");
    let key = labels.join("\0");
    let known = groups.get(key);
    if (!known && groups.size >= MAX_KEYS) {
      key = OTHER;
      known = groups.get(key);
      labels.fill(OTHER);
    }
    if (!known) {
      known = { labels, accumulators: aggregates.map((aggregate) => new Accumulator(aggregate)) };
      groups.set(key, known);
    }
    return known;
  };
  return {
    push(row, emit) {
      const { message } = row;
      if (everyUs !== undefined) {
        const now = Math.floor(message.receivedAt / everyUs);
        if (interval >= 0 && now > interval) report(message, (interval + 1) * everyUs, emit);
        if (now > interval) interval = now;
      }
      view.reset(message, row.keys);
      for (const accumulator of groupOf().accumulators) accumulator.add(view);
      last = message;
    },
    flush(emit) {
      if (last) report(last, last.ts, emit);
      last = undefined;
    },
  };
}

function resultRow(
  message: StoredMessage,
  atUs: number,
  by: readonly FieldReference[],
  aggregates: readonly Aggregate[],
  group: Group,
): Row {
  const parts = by.map(
    (field, index) => `${fieldLabel(field)}=${quoteLogfmt(group.labels[index] as string)}`,
  );
  aggregates.forEach((aggregate, index) => {
    const label = aggregate.label.replace(/[\s="]/g, "");
    parts.push(`${label}=${(group.accumulators[index] as Accumulator).result()}`);
  });
  return {
    message: {
      seq: message.seq,
      id: message.id,
      ts: atUs,
      receivedAt: message.receivedAt,
      pri: 190,
      facility: 23,
      severity: 6,
      source: "logplex",
      procid: "stats",
      hostname: "",
      msgid: "",
      sd: [],
      body: Buffer.from(parts.join(" ")),
      flags: new Set(),
    },
    keys: { kind: "logfmt" },
  };
}

/** One running aggregate; memory is bounded whatever comes in. */
class Accumulator {
  readonly #aggregate: Aggregate;
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = -Infinity;
  #unit = "";
  readonly #distinct = new Set<string>();
  #values: number[] | undefined = [];
  readonly #buckets = new Map<number, number>();

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate;
  }

  add(view: MessageView): void {
    const { field, name } = this.#aggregate;
    if (!field) {
      this.#count++;
      return;
    }
    const text = valueText(view.value(field));
    if (text === undefined) return;
    if (name === "count") this.#count++;
    else if (name === "distinct") {
      if (this.#distinct.size < MAX_KEYS) this.#distinct.add(text);
    } else {
      const quantity = parseQuantity(text);
      if (quantity) this.#addNumber(quantity);
    }
  }

  #addNumber(quantity: Quantity): void {
    const { value } = quantity;
    this.#unit ||= quantity.unit;
    this.#count++;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (this.#aggregate.name !== "quantile") return;
    if (this.#values && this.#values.length < EXACT_VALUES) {
      this.#values.push(value);
      return;
    }
    // Beyond that, logarithmic buckets: the result is then within 1 %.
    for (const known of this.#values ?? []) this.#bucket(known);
    this.#values = undefined;
    this.#bucket(value);
  }

  #bucket(value: number): void {
    const index = value <= 0 ? -Infinity : Math.round(Math.log(value) / BUCKET_BASE);
    this.#buckets.set(index, (this.#buckets.get(index) ?? 0) + 1);
  }

  result(): string {
    switch (this.#aggregate.name) {
      case "count":
        return String(this.#count);
      case "distinct":
        return String(this.#distinct.size);
      case "sum":
        return this.#text(this.#sum);
      case "avg":
        return this.#count === 0 ? "-" : this.#text(this.#sum / this.#count);
      case "min":
        return this.#count === 0 ? "-" : this.#text(this.#min);
      case "max":
        return this.#count === 0 ? "-" : this.#text(this.#max);
      default:
        return this.#count === 0 ? "-" : this.#text(this.#quantile());
    }
  }

  #quantile(): number {
    const rank = Math.max(1, Math.ceil((this.#aggregate.quantile ?? 0.5) * this.#count));
    if (this.#values) return [...this.#values].sort((a, b) => a - b)[rank - 1] as number;
    let seen = 0;
    for (const index of [...this.#buckets.keys()].sort((a, b) => a - b)) {
      seen += this.#buckets.get(index) as number;
      if (seen >= rank) {
        const middle = index === -Infinity ? this.#min : Math.exp(index * BUCKET_BASE);
        return Math.min(this.#max, Math.max(this.#min, middle));
      }
    }
    return this.#max;
  }

  #text(value: number): string {
    const rounded = String(Number(value.toPrecision(12)));
    return rounded + (this.#unit === "time" ? "ms" : this.#unit === "size" ? "B" : this.#unit);
  }
}
