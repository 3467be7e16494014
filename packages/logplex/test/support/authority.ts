import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate of an authority, in PEM. */
export interface Issued {
  readonly key: string;
  readonly cert: string;
  /** `AB:CD:…`, SHA-256. */
  readonly fingerprint: string;
}

/** A certificate authority in a directory of its own. */
export function makeAuthority(name: string) {
  const directory = mkdtempSync(join(tmpdir(), "dynokit-ca-"));
  const path = (file: string) => join(directory, file);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    ...["req", "-x509", ...curve, "-days", "2", "-subj", `/CN=${name}`],
    ...["-keyout", path("ca.key"), "-out", path("ca.pem")],
  );
  return {
    ca: readFileSync(path("ca.pem"), "utf8"),
    /** Issues a certificate for a subject alternative name such as `IP:127.0.0.1`. */
    issue(subject: string, alternative: string): Issued {
      openssl(
        ...["req", "-new", ...curve, "-subj", `/CN=${subject}`],
        ...["-keyout", path("one.key"), "-out", path("one.csr")],
      );
      writeFileSync(path("one.ext"), `subjectAltName=${alternative}\n`);
      openssl(
        ...[
          "x509",
          "-req",
          "-in",
          path("one.csr"),
          "-CA",
          path("ca.pem"),
          "-CAkey",
          path("ca.key"),
        ],
        ...["-CAcreateserial", "-days", "2", "-extfile", path("one.ext"), "-out", path("one.pem")],
      );
      const cert = readFileSync(path("one.pem"), "utf8");
      const { fingerprint256 } = new X509Certificate(cert);
      return { key: readFileSync(path("one.key"), "utf8"), cert, fingerprint: fingerprint256 };
    },
    dispose: () => rmSync(directory, { recursive: true, force: true }),
  };
}
