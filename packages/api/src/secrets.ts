import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  scrypt,
  timingSafeEqual,
} from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiError } from "./errors.ts";

const keyBytes = 32;

/**
 * Encrypts what the store keeps secret (AES-256-GCM) and signs capability URLs (HMAC-SHA256).
 * Both keys come from one master key of 32 bytes.
 */
export class SecretBox {
  readonly #cipherKey: Buffer;
  readonly #signKey: Buffer;

  constructor(master: Uint8Array) {
    if (master.length !== keyBytes)
      throw new ApiError(
        "bad-request",
        `The encryption key has ${master.length} bytes; give exactly ${keyBytes}.`,
      );
    this.#cipherKey = Buffer.from(hkdfSync("sha256", master, "", "dynokit cipher", keyBytes));
    this.#signKey = Buffer.from(hkdfSync("sha256", master, "", "dynokit signature", keyBytes));
  }

  /** `context` is bound to the text: a value moved to another row or column does not open. */
  seal(text: string, context: string): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#cipherKey, nonce);
    cipher.setAAD(Buffer.from(context));
    const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return Buffer.concat([Buffer.of(1), nonce, cipher.getAuthTag(), body]).toString("base64");
  }

  /** @throws ApiError `internal` when the key is another one or the text was changed. */
  open(sealed: string, context: string): string {
    const bytes = Buffer.from(sealed, "base64");
    try {
      if (bytes[0] !== 1) throw new Error("unknown format");
      const decipher = createDecipheriv("aes-256-gcm", this.#cipherKey, bytes.subarray(1, 13));
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(bytes.subarray(13, 29));
      return Buffer.concat([decipher.update(bytes.subarray(29)), decipher.final()]).toString(
        "utf8",
      );
    } catch (cause) {
      throw new ApiError(
        "internal",
        `A secret of the store (${context.split(":")[0]}) does not open. Start with the key file that the store was written with.`,
        { cause },
      );
    }
  }

  /** URL-safe signature of a capability. */
  sign(text: string): string {
    return createHmac("sha256", this.#signKey).update(text).digest("base64url");
  }

  /** Constant in time. */
  verify(text: string, signature: string): boolean {
    return equalText(this.sign(text), signature);
  }
}

/** Reads `secret.key` of a directory, or makes it with mode 0600. */
export function loadKeyFile(directory: string): Uint8Array {
  const file = join(directory, "secret.key");
  if (!existsSync(file)) {
    try {
      writeFileSync(file, `${randomBytes(keyBytes).toString("base64")}\n`, {
        mode: 0o600,
        flag: "wx",
      });
    } catch (error) {
      // Another process made it in the meantime: then its key is the one.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  chmodSync(file, 0o600);
  return Buffer.from(readFileSync(file, "utf8").trim(), "base64");
}

/** SHA-256 as hex; how tokens rest in the store. */
export function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Compares without telling by its time where two texts differ. */
export function equalText(a: string, b: string): boolean {
  return timingSafeEqual(
    createHash("sha256").update(a).digest(),
    createHash("sha256").update(b).digest(),
  );
}

const cost = { N: 16_384, r: 8, p: 1 } as const;

function derive(password: string, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    scrypt(password.normalize("NFC"), salt, 32, cost, (error, key) =>
      error ? reject(error) : resolve(key),
    ),
  );
}

/** scrypt with a random salt. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt);
  return `scrypt$${salt.toString("base64")}$${key.toString("base64")}`;
}

/** An absent hash costs the same time as a wrong password, so accounts can't be enumerated. */
export async function verifyPassword(password: string, hash: string | null): Promise<boolean> {
  const [, salt = "", expected = ""] = (hash ?? `scrypt$${"A".repeat(22)}==$AAAA`).split("$");
  const key = await derive(password, Buffer.from(salt, "base64"));
  return equalText(key.toString("base64"), expected) && hash !== null;
}
