import { ProcfileError, quoted } from "../errors.ts";
import type { SizedQuantity } from "./resolve.ts";

/** Options of {@link formatFormation}. */
export interface FormatFormationOptions {
  /**
   * `arguments` (default): `web=1:Basic worker=2:Basic`, sorted, which {@link parseFormation}
   * reads back. `sentence`: `now running web at 1:Basic, worker at 2:Basic`, in the given order,
   * the line that follows a scaling.
   */
  readonly style?: "arguments" | "sentence";
}

/** Writes a formation in one of the two ways that the Heroku CLI shows one. */
export function formatFormation(
  formation: Readonly<Record<string, number | SizedQuantity>>,
  { style = "arguments" }: FormatFormationOptions = {},
): string {
  const rows = Object.entries(formation).map(([type, value]) => {
    if (!/^[A-Za-z0-9_-]+$/.test(type))
      throw new ProcfileError("invalid-name", `${quoted(type)} can't be a process type.`, { type });
    const { quantity, size } = typeof value === "number" ? { quantity: value } : value;
    return { type, amount: size ? `${quantity}:${size}` : `${quantity}` };
  });
  if (style === "sentence")
    return `now running ${rows.map(({ type, amount }) => `${type} at ${amount}`).join(", ")}`;
  rows.sort((a, b) => (a.type < b.type ? -1 : 1));
  return rows.map(({ type, amount }) => `${type}=${amount}`).join(" ");
}
