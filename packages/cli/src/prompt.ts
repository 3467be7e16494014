import { isCancel, password } from "@clack/prompts";
import { CliError } from "./errors.ts";

/** Asks without echo on a terminal; in a pipe it reads standard input to its end. */
export async function askSecret(message: string): Promise<string> {
  if (process.stdin.isTTY !== true) {
    let text = "";
    for await (const chunk of process.stdin) text += String(chunk);
    return text.trim();
  }
  const answer = await password({ message });
  if (isCancel(answer)) throw new CliError("cancelled", "Cancelled.", { exitStatus: 130 });
  return answer.trim();
}
