/** What can be wrong with a message, as frozen constants: a fault costs no allocation. */

/** A broken rule: the status to answer, the `cause=` of the log line, and the rule for metrics. */
export interface Fault {
  readonly status: number;
  readonly cause: string;
  readonly rule: string;
  /** Text of the answer, where it helps whoever connected. */
  readonly hint?: string;
}

function fault(status: number, cause: string, rule: string, hint?: string): Fault {
  return Object.freeze(
    hint === undefined ? { status, cause, rule } : { status, cause, rule, hint },
  );
}

/** Faults of requests (spec/router.md §4, §5, §7). */
export const FAULTS = Object.freeze({
  bareLf: fault(400, "bad header", "bare-lf"),
  bareCr: fault(400, "bad header", "bare-cr"),
  controlOctet: fault(400, "bad header", "control-octet"),
  spaceBeforeColon: fault(400, "bad header", "space-before-colon"),
  spaceBeforeField: fault(400, "bad header", "space-before-field"),
  obsFold: fault(400, "bad header", "obs-fold"),
  fieldName: fault(400, "bad header", "field-name"),
  missingColon: fault(400, "bad header", "missing-colon"),
  emptyLines: fault(400, "bad header", "empty-lines"),
  requestLine: fault(400, "bad header", "request-line"),
  requestLineSpaces: fault(400, "bad header", "request-line-spaces"),
  method: fault(400, "bad header", "method"),
  methodTooLong: fault(400, "too-long", "method-too-long"),
  version: fault(400, "bad header", "version"),
  versionUnsupported: fault(505, "bad header", "version-unsupported"),
  http2Preface: fault(505, "bad header", "http2-preface"),
  clientHello: fault(
    400,
    "bad header",
    "tls-on-clear-port",
    "This port speaks plain HTTP; the connection began with a TLS handshake.\n",
  ),
  proxyLine: fault(400, "bad header", "proxy-line"),
  connect: fault(501, "bad header", "connect-method"),
  traceRefused: fault(405, "bad header", "trace-method"),
  target: fault(400, "target", "target"),
  targetAmbiguous: fault(400, "target", "target-ambiguous"),
  targetAuthority: fault(400, "target", "target-authority"),
  targetAuthorityMisdirected: fault(421, "target", "target-authority"),
  requestLineTooLong: fault(414, "too-long", "request-line-too-long"),
  fieldLineTooLong: fault(431, "too-long", "field-line-too-long"),
  fieldNameTooLong: fault(431, "too-long", "field-name-too-long"),
  tooManyFields: fault(431, "too-long", "too-many-fields"),
  headTooLong: fault(431, "too-long", "head-too-long"),
  hostMissing: fault(400, "host", "host-missing"),
  hostRepeated: fault(400, "host", "host-repeated"),
  hostEmpty: fault(400, "host", "host-empty"),
  hostInvalid: fault(400, "host", "host-invalid"),
  lengthAndCoding: fault(400, "framing", "length-and-coding"),
  lengthDiffers: fault(400, "framing", "length-differs"),
  lengthInvalid: fault(400, "framing", "length-invalid"),
  lengthList: fault(400, "framing", "length-list"),
  lengthTooLarge: fault(413, "framing", "length-too-large"),
  codingUnknown: fault(501, "framing", "coding-unknown"),
  codingInvalid: fault(400, "framing", "coding-invalid"),
  codingInHttp10: fault(400, "framing", "coding-in-http10"),
  connectionNominatesFraming: fault(400, "framing", "connection-nominates-framing"),
  upgradeMissing: fault(400, "bad header", "upgrade-missing"),
  expectation: fault(417, "unsupported expect header value", "expectation"),
  chunkSize: fault(400, "bad chunk", "chunk-size"),
  chunkEnd: fault(400, "bad chunk", "chunk-end"),
  chunkExtension: fault(400, "bad chunk", "chunk-extension"),
  trailer: fault(400, "bad chunk", "trailer"),
  headTimeout: fault(408, "timeout", "head-timeout"),
  headTruncated: fault(400, "bad header", "head-truncated"),
  http2: fault(400, "bad header", "http2-malformed"),
} satisfies Record<string, Fault>);

/** Faults of responses (spec/router.md §8): 502 is H25, 503 is H17. */
export const RESPONSE_FAULTS = Object.freeze({
  statusLine: fault(503, "status line", "status-line"),
  statusLineTooLong: fault(502, "oversized status line", "status-line-too-long"),
  headerTooLong: fault(502, "oversized header", "field-line-too-long"),
  cookieTooLong: fault(502, "oversized cookies", "cookie-too-long"),
  contentLength: fault(502, "invalid content length", "content-length"),
  header: fault(503, "bad header", "field"),
  transferEncoding: fault(503, "transfer encoding", "transfer-encoding"),
  chunk: fault(503, "bad chunk", "chunk"),
  // `node:http2` has no way to send it.
  statusInHttp2: fault(503, "status line", "status-in-http2"),
  unaskedUpgrade: fault(503, "unasked 101", "unasked-upgrade"),
  secondContinue: fault(503, "second 100", "second-continue"),
  interimFlood: fault(502, "too many interim answers", "interim-flood"),
} satisfies Record<string, Fault>);
