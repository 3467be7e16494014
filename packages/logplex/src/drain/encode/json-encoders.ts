import { formatSeconds } from "../../frame/timestamp.ts";
import { flagSet, NO_SD, type StoredMessage } from "../../message.ts";
import { EXPORT_REQUEST, EXPORT_RESPONSE } from "../../otlp/shapes.ts";
import { decodeMessage, encodeMessage } from "../../otlp/wire.ts";
import { dynoType } from "../../query/view.ts";
import { jsonLine, messageToJson } from "../../ring/ring-message.ts";
import { drainLossText } from "../notices.ts";
import type { BatchEncoder, FrameAnnouncement } from "./encoder.ts";

/** Options of the encoders whose format is JSON. */
export interface JsonOptions {
  /** The app. */
  readonly channel: string;
  readonly labels: Readonly<Record<string, string>>;
}

type Value = { stringValue: string } | { intValue: string };
interface Attribute {
  readonly key: string;
  readonly value: Value;
}

/** One JSON object per line with the fields of spec/logplex.md §2.1, `channel` and the labels. */
export function createNdjsonEncoder(options: JsonOptions): BatchEncoder {
  const extra = { channel: options.channel, ...options.labels };
  return {
    contentType: "application/x-ndjson",
    overhead: 300,
    encode(messages, announcement) {
      const lines: string[] = [];
      const ends: number[] = [];
      let size = 0;
      const add = (value: Record<string, unknown>) => {
        const line = `${jsonLine({ ...extra, ...value })}\n`;
        lines.push(line);
        size += Buffer.byteLength(line);
        ends.push(size);
      };
      if (announcement) {
        const { fromSeq, toSeq, cause, count } = announcement;
        add({
          ...messageToJson(lossMessage(announcement)),
          loss: { count, fromSeq, toSeq, cause },
        });
      }
      for (const message of messages) add(messageToJson(message));
      return {
        body: Buffer.from(lines.join("")),
        count: lines.length,
        ends: Uint32Array.from(ends),
      };
    },
  };
}

/** Severity numbers of OpenTelemetry for those of syslog. */
const SEVERITY_NUMBERS = [21, 19, 18, 17, 13, 10, 9, 5];
const SEVERITY_TEXTS = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/** OTLP/HTTP logs: one resource per app, one record per message. */
export function createOtlpEncoder(
  options: JsonOptions,
  encoding: "json" | "protobuf" = "json",
): BatchEncoder {
  const resource = {
    attributes: [
      text("service.name", options.channel),
      ...Object.entries(options.labels).map(([key, value]) => text(key, value)),
    ],
  };
  return {
    contentType: encoding === "json" ? "application/json" : "application/x-protobuf",
    overhead: encoding === "json" ? 420 : 220,
    encode(messages, announcement) {
      const records = messages.map((message) => logRecord(message));
      if (announcement) {
        const { fromSeq, toSeq, cause, count } = announcement;
        records.unshift(
          logRecord(lossMessage(announcement), [
            whole("loss.count", count),
            ...(fromSeq === undefined ? [] : [whole("loss.from", fromSeq)]),
            ...(toSeq === undefined ? [] : [whole("loss.to", toSeq)]),
            ...(cause === undefined ? [] : [text("loss.cause", cause)]),
          ]),
        );
      }
      const scopeLogs = [{ scope: { name: "dynokit.logplex" }, logRecords: records }];
      const request = { resourceLogs: [{ resource, scopeLogs }] };
      const body =
        encoding === "json"
          ? Buffer.from(JSON.stringify(request))
          : encodeMessage(EXPORT_REQUEST, request);
      return { body, count: records.length };
    },
  };
}

function logRecord(message: StoredMessage, more: readonly Attribute[] = []) {
  const { split } = message;
  const attributes: Attribute[] = [
    text("log.source", message.source),
    text("dyno", message.procid),
    text("log.record.uid", message.id),
    whole("log.seq", message.seq),
    whole("syslog.facility", message.pri >> 3),
    ...more,
  ];
  if (message.msgid !== "") attributes.push(text("syslog.msgid", message.msgid));
  if (message.hostname !== "") attributes.push(text("host.name", message.hostname));
  for (const element of message.sd) {
    for (const { name, value } of element.params) {
      attributes.push(text(`syslog.sd.${element.id}.${name}`, value));
    }
  }
  if (split) {
    attributes.push(
      text("split.group", split.group),
      whole("split.index", split.index),
      whole("split.count", split.count),
    );
  }
  return {
    timeUnixNano: nanos(message.ts),
    observedTimeUnixNano: nanos(message.receivedAt),
    severityNumber: SEVERITY_NUMBERS[message.pri & 7],
    severityText: SEVERITY_TEXTS[message.pri & 7],
    body: { stringValue: bodyText(message) },
    attributes,
  };
}

/** Number of records that an OTLP receiver refused although it answered 2xx. */
export function readOtlpReply(
  body: Buffer,
  encoding: "json" | "protobuf" = "json",
): { rejected: number; reason: string } | undefined {
  let reply: unknown;
  try {
    reply =
      encoding === "json"
        ? JSON.parse(body.toString("utf8"))
        : decodeMessage(EXPORT_RESPONSE, body);
  } catch {
    // An empty or foreign body means that everything was taken.
    return undefined;
  }
  if (typeof reply !== "object" || reply === null || !("partialSuccess" in reply)) return undefined;
  const partial = reply.partialSuccess;
  if (typeof partial !== "object" || partial === null) return undefined;
  const fields = partial as Record<string, unknown>;
  const rejected = Number(fields["rejectedLogRecords"] ?? 0);
  if (!Number.isSafeInteger(rejected) || rejected <= 0) return undefined;
  const message = typeof fields["errorMessage"] === "string" ? fields["errorMessage"] : "";
  return { rejected, reason: message.slice(0, 200) || "refused by the receiver" };
}

/** Loki push: one stream per source and dyno; the lines keep their order. */
export function createLokiEncoder(options: JsonOptions): BatchEncoder {
  return {
    contentType: "application/json",
    overhead: 32,
    encode(messages, announcement) {
      const streams = new Map<string, { stream: Record<string, string>; values: string[][] }>();
      const add = (message: StoredMessage) => {
        const key = `${message.source}\0${message.procid}`;
        let found = streams.get(key);
        if (!found) {
          found = { stream: lokiLabels(message, options), values: [] };
          streams.set(key, found);
        }
        found.values.push([nanos(message.ts), bodyText(message)]);
      };
      if (announcement) add(lossMessage(announcement));
      for (const message of messages) add(message);
      const body = Buffer.from(JSON.stringify({ streams: [...streams.values()] }));
      return { body, count: messages.length + (announcement ? 1 : 0) };
    },
  };
}

function lokiLabels(message: StoredMessage, options: JsonOptions): Record<string, string> {
  const labels: Record<string, string> = { app: options.channel, source: message.source };
  if (message.procid !== "") {
    labels["dyno"] = message.procid;
    labels["type"] = dynoType(message.procid);
  }
  // Loki allows no dots in names of labels.
  for (const [key, value] of Object.entries(options.labels))
    labels[key.replaceAll(".", "_")] = value;
  return labels;
}

/** The L10 of a frame as a message of the platform. */
function lossMessage(announcement: FrameAnnouncement): StoredMessage {
  const { atUs } = announcement;
  return {
    seq: announcement.toSeq ?? 0,
    id: `${Math.floor(atUs / 1000)}-loss`,
    ts: atUs,
    tsText: formatSeconds(atUs),
    receivedAt: atUs,
    pri: 172,
    facility: 21,
    severity: 4,
    source: "heroku",
    procid: "logplex",
    hostname: "",
    msgid: "",
    sd: NO_SD,
    body: Buffer.from(drainLossText(announcement)),
    flags: flagSet(0),
  };
}

/** Text of a body without its final LF; bytes that are no UTF-8 become U+FFFD. */
function bodyText({ body }: StoredMessage): string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return bytes.toString("utf8").replace(/\n+$/, "");
}

function nanos(micros: number): string {
  return `${Math.floor(micros)}000`;
}

function text(key: string, value: string): Attribute {
  return { key, value: { stringValue: value } };
}

function whole(key: string, value: number): Attribute {
  return { key, value: { intValue: String(value) } };
}
