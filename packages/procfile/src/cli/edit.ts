import { edit } from "../edit/procfile.ts";
import { format } from "../format.ts";
import { dialectOf, readSource, type Verb, type VerbContext, writeResult } from "./verb.ts";

const set: Verb = (context) => {
  const [type, ...words] = context.args.positionals;
  const source = sourceOrEmpty(context);
  const editor = edit(source.text, { dialect: dialectOf(context.args) });
  writeResult(context, source, editor.set(type!, words.join(" ")).text);
  return 0;
};

const remove: Verb = (context) => {
  const { args } = context;
  const source = readSource(context, 1);
  const editor = edit(source.text, { dialect: dialectOf(args) });
  const { text } = editor.delete(args.positionals[0]!, { comments: args.has("comments") });
  writeResult(context, source, text);
  return 0;
};

const rename: Verb = (context) => {
  const [from, to] = context.args.positionals;
  const source = readSource(context, 2);
  const editor = edit(source.text, { dialect: dialectOf(context.args) });
  writeResult(context, source, editor.rename(from!, to!).text);
  return 0;
};

const fmt: Verb = (context) => {
  const { args, io } = context;
  const source = readSource(context, 0);
  const text = format(source.text, { dialect: dialectOf(args), align: args.has("align") });
  if (args.has("check")) {
    if (text === source.text) return 0;
    io.err(`${source.path}: the layout is not normal. Run procfile fmt.\n`);
    return 1;
  }
  writeResult(context, source, text);
  return 0;
};

/** The first `set` makes the file. */
function sourceOrEmpty(context: VerbContext) {
  const path = context.args.get("file") ?? "Procfile";
  if (path === "-") return readSource(context, Number.POSITIVE_INFINITY);
  try {
    return { path, text: context.io.readFile(path) };
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return { path, text: "" };
    throw error;
  }
}

export const editVerbs: Readonly<Record<string, Verb>> = { set, delete: remove, rename, fmt };
