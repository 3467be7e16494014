import { connect, createServer, type Server, type Socket } from "node:net";
import { DEFAULT_ANSWER, type ProxyCase, type ProxyState } from "./case.ts";
import { FIELD_CASES, RESPONSE_CASES } from "./field-cases.ts";
import { FRAMING_CASES } from "./framing-cases.ts";
import { HEAD_CASES } from "./head-cases.ts";
import { MESSAGE_CASES } from "./message-cases.ts";
import { STATE_CASES } from "./state-cases.ts";

/** All cases that need nothing but a host with a backend. */
export const PROXY_CASES: readonly ProxyCase[] = Object.freeze([
  ...HEAD_CASES,
  ...FRAMING_CASES,
  ...FIELD_CASES,
  ...RESPONSE_CASES,
  ...MESSAGE_CASES,
]);

/** A proxy under test: where it listens, and the host name that leads to the kit's backend. */
export interface ProxyUnderTest {
  readonly host: string;
  readonly port: number;
  readonly hostname: string;
  stop?(): Promise<void> | void;
}

/** What was seen while a case ran. */
export interface ProxyObservation {
  /** All octets that the client read, as latin1. */
  readonly client: string;
  /** All octets that the backend read, connections one after the other. */
  readonly backend: string;
  /** Complete request heads with complete bodies that the backend read. */
  readonly requests: number;
  readonly closed: boolean;
}

const QUIET_MS = 150;
const LIMIT_MS = 10_000;
/** How long a client waits for what it must read before it goes on. */
const READ_MS = 2000;

/** The backend of the kit: gives the answer of the case for each complete request. */
export class KitBackend {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #answer = DEFAULT_ANSWER;
  #thenClose = false;
  read: string[] = [];
  requests = 0;
  onActivity: () => void = () => {};

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      const index = this.read.push("") - 1;
      const { read } = this;
      let done = 0;
      socket.on("data", (chunk) => {
        read[index] += chunk.toString("latin1");
        this.onActivity();
        const text = read[index] as string;
        for (;;) {
          const length = messageLength(text.slice(done));
          if (length === 0) return;
          done += length;
          this.requests++;
          socket.write(Buffer.from(this.#answer, "latin1"));
          if (this.#thenClose) socket.end();
        }
      });
    });
  }

  /** Listens on a free port of the loopback address, or on a given one. */
  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    return (this.#server.address() as { port: number }).port;
  }

  /** Makes ready for a case: nothing read, no connection left. */
  async prepare(testCase: ProxyCase): Promise<void> {
    await Promise.all(
      [...this.#sockets].map(
        (socket) =>
          new Promise<void>((resolve) => {
            socket.once("close", () => resolve());
            socket.destroy();
          }),
      ),
    );
    this.#answer = testCase.answer ?? DEFAULT_ANSWER;
    this.#thenClose = testCase.answerThenClose === true;
    this.read = [];
    this.requests = 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

/** Length of the first complete request in the text; 0 when it is not complete. */
function messageLength(text: string): number {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const head = text.slice(0, end + 2);
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head);
  if (length !== null) {
    const total = end + 4 + Number(length[1]);
    return text.length >= total ? total : 0;
  }
  if (!/\r\ntransfer-encoding: *chunked\r\n/i.test(head)) return end + 4;
  let at = end + 4;
  for (;;) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return 0;
    const size = Number.parseInt(text.slice(at, line), 16);
    if (size === 0) {
      const last = text.indexOf("\r\n\r\n", line);
      return last < 0 ? 0 : last + 4;
    }
    at = line + 2 + size + 2;
    if (at > text.length) return 0;
  }
}

/** Runs one case and reports what was seen; judges nothing. */
export async function observeCase(
  testCase: ProxyCase,
  proxy: ProxyUnderTest,
  backend: KitBackend,
  quietMs = QUIET_MS,
): Promise<ProxyObservation> {
  await backend.prepare(testCase);
  let client = "";
  let closed = false;
  await new Promise<void>((resolve) => {
    const socket = connect({ host: proxy.host, port: proxy.port, allowHalfOpen: true });
    const limit = setTimeout(done, LIMIT_MS);
    let quiet: NodeJS.Timeout | undefined;
    function done() {
      clearTimeout(limit);
      clearTimeout(quiet);
      socket.destroy();
      resolve();
    }
    const active = () => {
      clearTimeout(quiet);
      if (settled(testCase, client, closed, backend.requests)) quiet = setTimeout(done, quietMs);
    };
    backend.onActivity = active;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      client += chunk.toString("latin1");
      active();
    });
    socket.on("end", () => {
      closed = true;
      socket.end();
      active();
    });
    socket.on("close", () => {
      closed = true;
      active();
    });
    socket.on("connect", () => {
      void write(socket, testCase, proxy, () => client);
    });
  });
  backend.onActivity = () => {};
  return { client, backend: backend.read.join(""), requests: backend.requests, closed };
}

async function write(
  socket: Socket,
  testCase: ProxyCase,
  proxy: ProxyUnderTest,
  read: () => string,
): Promise<void> {
  for (const piece of testCase.send) {
    if (piece === null) socket.end();
    else if (piece instanceof RegExp) await hasRead(socket, piece, read);
    else {
      const text = piece
        .replaceAll("{host}", proxy.hostname)
        .replaceAll("{HOST}", proxy.hostname.toUpperCase());
      await new Promise<void>((resolve) => {
        socket.write(Buffer.from(text, "latin1"), () => setTimeout(resolve, 5));
      });
    }
  }
}

/** Resolves once the client has read what matches, or cannot any more. */
function hasRead(socket: Socket, match: RegExp, read: () => string): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(limit);
      socket.off("data", check);
      socket.off("close", done);
      resolve();
    };
    const check = () => {
      if (match.test(read())) done();
    };
    const limit = setTimeout(done, READ_MS);
    socket.on("data", check);
    socket.on("close", done);
    check();
  });
}

/** Whether everything the case waits for has happened; then a short silence ends it. */
function settled(testCase: ProxyCase, client: string, closed: boolean, requests: number): boolean {
  const { expect } = testCase;
  const status = finalStatus(client);
  // With another status the case is lost already.
  if (closed || (status !== "none" && status !== expect.status)) return true;
  return expect.closes !== true && status !== "none" && requests >= (expect.requests ?? 0);
}

/** Status of the first final answer in what a client read. */
export function finalStatus(text: string): number | "none" {
  let rest = text;
  for (;;) {
    const match = /^HTTP\/1\.[01] (\d{3})/.exec(rest);
    const end = rest.indexOf("\r\n\r\n");
    if (match === null || end < 0) return "none";
    const status = Number(match[1]);
    if (status >= 200 || status === 101) return status;
    rest = rest.slice(end + 4);
  }
}

/** Compares an observation with the expectation; one sentence for each difference. */
export function judgeCase(testCase: ProxyCase, seen: ProxyObservation): readonly string[] {
  const { expect } = testCase;
  const wrong: string[] = [];
  const status = finalStatus(seen.client);
  if (status !== expect.status) wrong.push(`answered ${status}, expected ${expect.status}`);
  if (!expect.reaches && seen.backend !== "") wrong.push("octets reached the backend");
  const requests = expect.requests ?? (expect.reaches ? 1 : 0);
  if (expect.reaches && seen.requests !== requests)
    wrong.push(`${seen.requests} complete requests reached the backend, expected ${requests}`);
  if (expect.closes !== undefined && seen.closed !== expect.closes)
    wrong.push(expect.closes ? "the connection was kept" : "the connection was closed");
  for (const pattern of expect.backend ?? [])
    if (!pattern.test(seen.backend)) wrong.push(`the backend did not read ${pattern}`);
  for (const pattern of expect.backendNot ?? [])
    if (pattern.test(seen.backend)) wrong.push(`the backend read ${pattern}`);
  for (const pattern of expect.client ?? [])
    if (!pattern.test(seen.client)) wrong.push(`the client did not read ${pattern}`);
  for (const pattern of expect.clientNot ?? [])
    if (pattern.test(seen.client)) wrong.push(`the client read ${pattern}`);
  return wrong;
}

/** The test functions of a runner; vitest's and `node:test`'s fit. */
export interface KitRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  after(body: () => Promise<void>): unknown;
}

/** Options of {@link describeProxy}. */
export interface DescribeProxyOptions {
  /** Starts the proxy in front of a backend on the loopback address. */
  readonly start: (backendPort: number) => Promise<ProxyUnderTest>;
  /** Ids of cases in which the proxy is known to differ, with the reason. */
  readonly differs?: Readonly<Record<string, string>>;
  readonly runner: KitRunner;
  /**
   * Host names in other states, `{ maintenance: "down.test" }`. The cases about the answers that
   * the proxy makes itself are run for those that are given.
   */
  readonly hosts?: Readonly<Partial<Record<ProxyState, string>>>;
  /** How long nothing must happen before a case is judged, ms; default 150. */
  readonly quietMs?: number;
}

/**
 * Registers every case as a test against a proxy.
 *
 * A case listed in `differs` is run as well and must still differ, so that the list stays true.
 */
export function describeProxy(name: string, options: DescribeProxyOptions): void {
  const { runner, differs = {}, hosts = {} } = options;
  const states = STATE_CASES.filter(({ at }) => at !== undefined && hosts[at] !== undefined);
  runner.describe(name, () => {
    const backend = new KitBackend();
    let proxy: Promise<ProxyUnderTest> | undefined;
    runner.after(async () => {
      await (await proxy)?.stop?.();
      await backend.close();
    });
    for (const testCase of [...PROXY_CASES, ...states]) {
      const reason = differs[testCase.id];
      const title =
        reason === undefined ? testCase.title : `differs (${reason}): ${testCase.title}`;
      runner.it(`${testCase.id}: ${title}`, async () => {
        proxy ??= backend.listen().then((port) => options.start(port));
        const started = await proxy;
        const hostname = (testCase.at && hosts[testCase.at]) ?? started.hostname;
        const asked = { ...started, hostname };
        const seen = await observeCase(testCase, asked, backend, options.quietMs);
        const wrong = judgeCase(testCase, seen);
        if (wrong.length > 0 === (reason !== undefined)) return;
        throw new Error(
          reason === undefined
            ? `${wrong.join("; ")}\nclient: ${JSON.stringify(seen.client.slice(0, 500))}\nbackend: ${JSON.stringify(seen.backend.slice(0, 500))}`
            : `The case passes now; take "${testCase.id}" off the list of differences.`,
        );
      });
    }
  });
}
