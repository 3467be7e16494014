import type { Fault } from "../codec/faults.ts";
import { F } from "../codec/field-names.ts";
import type { Failure } from "../failures/codes.ts";
import type { OwnPages } from "../failures/own-pages.ts";
import { type PageKind, renderPage } from "../failures/pages.ts";
import type { Exchange } from "./exchange/exchange.ts";

/** The answers that the router gives itself: pages for failures, faults and refusals. */
export class OwnAnswers {
  readonly #pages: OwnPages;
  /** Status codes where Heroku's differ from those of the tables. */
  readonly #heroku: boolean;

  constructor(pages: OwnPages, heroku: boolean) {
    this.#pages = pages;
    this.#heroku = heroku;
  }

  /** Sends the answer to an H-code; returns octets. */
  failure(exchange: Exchange, status: number): number {
    const failure = exchange.failure as Failure;
    const { code } = failure;
    let fields = `X-Router-Error: ${code}\r\n`;
    const retryAfter =
      code === "H80" ? (exchange.app?.settings.maintenanceRetryAfter ?? 60) : failure.retryAfter;
    if (retryAfter > 0) fields += `Retry-After: ${retryAfter}\r\n`;
    const kind = code === "H80" ? "maintenance" : "error";
    return this.#page(exchange, kind, status, code, failure.desc, fields);
  }

  /** Sends the answer to a broken request; returns octets. */
  fault(exchange: Exchange, fault: Fault, status: number): number {
    let fields = "X-Router-Error: H26\r\n";
    if (status === 405) fields += "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
    if (fault.hint !== undefined)
      return exchange.client.sendOwn(
        exchange,
        status,
        `Content-Type: text/plain; charset=utf-8\r\n${fields}`,
        Buffer.from(fault.hint),
      );
    const message = `Request Error: ${fault.rule.replaceAll("-", " ")}`;
    return this.#page(exchange, "request", status, "H26", message, fields);
  }

  /** Sends an answer that is no H-code; returns octets. */
  refusal(exchange: Exchange, status: number, message: string, fields: string): number {
    const kind = status === 404 ? "no-such-app" : "request";
    return this.#page(exchange, kind, status, null, message, fields);
  }

  /** Status of the answer to a broken request: Heroku says 400 where a field is too long. */
  faultStatus(fault: Fault): number {
    return fault.status === 431 && this.#heroku ? 400 : fault.status;
  }

  /** Status of an H-code where Heroku's differs and `compat` asks for it; 0 = that of the table. */
  ownStatus(code: string): number {
    return code === "H32" && this.#heroku ? 495 : 0;
  }

  #page(
    exchange: Exchange,
    kind: PageKind,
    status: number,
    code: string | null,
    message: string,
    fields: string,
  ): number {
    const { app } = exchange;
    const page = renderPage({
      kind,
      status,
      code,
      message,
      requestId: exchange.identity.requestId,
      html:
        app === null || (kind !== "error" && kind !== "maintenance")
          ? null
          : this.#pages.html(app.id, app.settings, kind),
      accept: exchange.head?.get(F.accept),
    });
    return exchange.client.sendOwn(
      exchange,
      status,
      `Content-Type: ${page.contentType}\r\nCache-Control: no-cache, no-store\r\n${fields}`,
      page.body,
    );
  }
}
