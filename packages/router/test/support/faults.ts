import type { Fault, Rewrite } from "./faulty-proxy.ts";

const whole =
  (rewrite: Rewrite): (() => Rewrite) =>
  () =>
    rewrite;

/** Lines that begin with one of these names, as a pattern over the text of a head. */
const lines = (...names: readonly string[]) =>
  new RegExp(`^(?:${names.join("|")}):[^\\n]*\\n`, "gim");

/** Rewrites what passes up to the end of the first head, and nothing behind it. */
function head(rewrite: Rewrite): () => Rewrite {
  return () => {
    let over = false;
    return (text) => {
      if (over) return text;
      const end = text.indexOf("\r\n\r\n");
      over = end >= 0;
      return end < 0 ? rewrite(text) : rewrite(text.slice(0, end + 2)) + text.slice(end + 2);
    };
  };
}

/** What the client said and the proxy should have left out, put back behind the request line. */
function kept(...names: readonly string[]): Pick<Fault, "asked" | "forwarded"> {
  let said = "";
  return {
    asked: head((text) => {
      said = (text.match(lines(...names)) ?? []).join("");
      return text;
    }),
    forwarded: head((text) => text.replace("\r\n", `\r\n${said}`)),
  };
}

/** Faults that proxies are known for, and the cases that must notice each. */
export const FAULTS: readonly Fault[] = [
  {
    does: "takes LF for a line end",
    asked: whole((text) => text.replaceAll(/(?<!\r)\n/g, "\r\n")),
    caught: [
      "head/bare-lf",
      "head/bare-lf-in-fields",
      "framing/chunk-size-lf",
      "framing/chunk-data-lf",
      "framing/chunk-extension-lf",
      "framing/trailer-lf",
    ],
  },
  {
    does: "lets a coding win over a length",
    asked: head((text) =>
      /^transfer-encoding:/im.test(text) ? text.replace(lines("Content-Length"), "") : text,
    ),
    caught: ["framing/length-and-coding", "framing/coding-and-length"],
  },
  {
    does: "takes the first of several Host fields",
    asked: head((text) => {
      let first = true;
      return text.replaceAll(/^host:[^\n]*\n/gim, (line) => {
        if (!first) return "";
        first = false;
        return line;
      });
    }),
    caught: ["head/two-hosts", "head/two-equal-hosts"],
  },
  {
    does: "takes white space before a colon",
    asked: whole((text) => text.replaceAll(/^([A-Za-z-]+)[ \t]+:/gm, "$1:")),
    caught: ["head/space-before-colon", "head/tab-before-colon", "framing/trailer-space"],
  },
  {
    does: "joins folded lines",
    options: { obsFold: "replace" },
    caught: ["head/obs-fold", "head/obs-fold-tab"],
  },
  {
    does: "resolves dot segments and slashes",
    asked: head((text) =>
      text.replace(/ \/\S*/, (path) =>
        path.replaceAll(/\/{2,}/g, "/").replaceAll(/\/[^/]+\/\.\.(?=\/)/g, ""),
      ),
    ),
    caught: ["head/path-bytes"],
  },
  {
    does: "forwards an absolute target",
    asked: head((text) => text),
    ...absolute(),
    caught: ["head/absolute", "head/absolute-no-path", "head/absolute-query"],
  },
  {
    does: "forwards fields of the connection",
    ...kept("Keep-Alive", "Proxy-Connection", "TE", "Upgrade"),
    caught: [
      "fields/hop-by-hop",
      "fields/te-trailers",
      "fields/upgrade-h2c",
      "fields/upgrade-not-named",
      "fields/upgrade-10",
    ],
  },
  {
    does: "forwards both framings",
    forwarded: head((text) =>
      text.replace(/^content-length: [^\n]*\n/gim, "$&Transfer-Encoding: chunked\r\n"),
    ),
    caught: [
      "framing/body-length-GET",
      "framing/body-length-HEAD",
      "framing/body-length-DELETE",
      "framing/body-length-OPTIONS",
      "framing/body-length-PUT",
      "framing/body-length-PATCH",
      "framing/body-length-TRACE",
      "framing/body-length-PROPFIND",
    ],
  },
  {
    does: "loses bodies of requests without a usual body",
    forwarded: head((text) =>
      /^(?:GET|HEAD|DELETE|OPTIONS) /.test(text)
        ? text.replace(lines("Content-Length", "Transfer-Encoding"), "")
        : text,
    ),
    caught: [
      "framing/body-length-GET",
      "framing/body-chunked-GET",
      "framing/body-length-HEAD",
      "framing/body-chunked-HEAD",
      "framing/body-length-DELETE",
      "framing/body-chunked-DELETE",
      "framing/body-length-OPTIONS",
      "framing/body-chunked-OPTIONS",
    ],
  },
  {
    does: "drops X-Request-Id",
    forwarded: head((text) => text.replace(lines("X-Request-Id"), "")),
    caught: [
      "fields/nominated-owned",
      "fields/request-id-kept",
      "fields/request-id-short",
      "fields/request-id-long",
      "fields/request-id-octets",
      "fields/request-id-several",
      "fields/request-id-made",
      "fields/request-id-limit",
    ],
  },
  {
    does: "believes X-Forwarded-Proto of anybody",
    options: { trustedProxies: ["127.0.0.0/8"] },
    caught: ["fields/forwarded-proto"],
  },
  {
    does: "forgets X-Forwarded-For of the client",
    options: { xff: "replace" },
    caught: ["fields/forwarded-for"],
  },
  {
    does: "sets no Via",
    forwarded: head((text) => text.replace(/^Via: 1\.[01] dynokit\r\n/m, "")),
    answered: head((text) => text.replace(/^Via: 1\.[01] dynokit\r\n/m, "")),
    caught: ["fields/nominated-owned", "fields/via", "response/via"],
  },
  {
    does: "writes names in camel case",
    app: { fieldCase: "camel" },
    caught: [
      "head/names-as-sent",
      "head/empty-value",
      "fields/underscore-twin",
      "response/set-cookie",
      "fields/order",
      "response/server-kept",
    ],
  },
  {
    does: "answers 502 in place of 503",
    answered: head((text) => text.replace(/^HTTP\/1\.1 503/, "HTTP/1.1 502")),
    caught: [
      "response/unparsable",
      "response/garbage",
      "response/two-digit-status",
      "response/101-unasked",
      "response/101-other",
      "response/none",
      "response/none-post",
      "response/coding-unknown",
      "own/H80-fields",
      "own/H80-html",
      "own/H80-json",
      "own/H80-head",
      "own/problem",
      "own/quality",
      "own/anything",
      "own/maintenance-10",
    ],
  },
  {
    does: "joins Set-Cookie lines",
    answered: head((text) => text.replace(/^(set-cookie: [^\r]*)\r\nset-cookie: /im, "$1, ")),
    caught: ["response/set-cookie"],
  },
  {
    does: "adds no Date",
    answered: head((text) => text.replace(/^Date: [^\r]* GMT\r\n/m, "")),
    caught: ["response/date", "own/H80-fields"],
  },
  {
    does: "keeps early hints to itself",
    answered: whole((text) => text.replace(/^HTTP\/1\.1 103[\s\S]*?\r\n\r\n/, "")),
    caught: ["response/103"],
  },
  {
    does: "answers errors in HTML alone",
    asked: head((text) => text.replace(/^Accept: .*(?=\r)/m, "Accept: text/html")),
    caught: ["own/H80-json", "own/problem", "own/quality", "own/anything"],
  },
  {
    does: "lets its answers be cached",
    answered: head((text) => text.replace(lines("Cache-Control"), "")),
    caught: ["own/H80-fields"],
  },
  {
    does: "names no code in its answers",
    answered: head((text) => text.replace(lines("X-Router-Error"), "")),
    caught: ["own/H80-fields", "own/H80-head"],
  },
  {
    does: "passes Expect to the app",
    app: { continue: "end-to-end" },
    caught: ["expect/auto", "fields/expect-case"],
  },
  {
    does: "drops trailers",
    forwarded: whole((text) => text.replace(/\r\n0\r\n(?!\r\n)[\s\S]+?\r\n\r\n/, "\r\n0\r\n\r\n")),
    caught: ["framing/trailers", "framing/trailers-forbidden"],
  },
  {
    does: "asks again when an app closes without an answer",
    retries: true,
    caught: ["response/none", "response/none-post"],
  },
  {
    does: "refuses TRACE",
    options: { allowTrace: false },
    caught: ["framing/body-length-TRACE", "framing/body-chunked-TRACE"],
  },
  {
    does: "lets soft rules pass",
    options: { strict: "report" },
    caught: [
      "head/obs-fold",
      "head/obs-fold-tab",
      "head/two-spaces",
      "head/two-spaces-version",
      "head/high-in-target",
      "head/two-equal-hosts",
      "framing/length-list",
    ],
  },
];

/** The target as the client sent it. */
function absolute(): Pick<Fault, "asked" | "forwarded"> {
  let target = "";
  return {
    asked: head((text) => {
      target = / (https?:\/\/\S*) /i.exec(text)?.[1] ?? "";
      return text;
    }),
    forwarded: head((text) => (target === "" ? text : text.replace(/ \S+ /, ` ${target} `))),
  };
}
