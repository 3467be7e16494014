import { useState } from "preact/hooks";
import { type Build, call, list, type Release, sameOrigin, stream } from "../api.ts";
import { tarHeader } from "../tar.ts";
import { useAction, useLoaded } from "../ui/hooks.ts";
import { Ago, Failure, Panel, State } from "../ui/parts.tsx";
import type { TabProps } from "./app-view.tsx";

export function DeployView({ app, reload }: TabProps) {
  const path = `/apps/${app.id}`;
  const releases = useLoaded(
    () => list<Release>(`${path}/releases`, "version ..; max=50, order=desc"),
    [app.id],
    5000,
  );
  const [output, setOutput] = useState("");
  const [over, setOver] = useState(false);
  const deploy = useAction();
  const rollback = useAction();

  const upload = (archive: Blob) =>
    deploy.run(async () => {
      setOutput("Uploading …\n");
      const source = await call<{ source_blob: { put_url: string; get_url: string } }>("/sources", {
        method: "POST",
      });
      const put = await fetch(sameOrigin(source.source_blob.put_url), {
        method: "PUT",
        body: archive,
      });
      if (!put.ok) throw new Error(`The upload was refused: ${put.status} ${await put.text()}`);
      const build = await call<Build>(`${path}/builds`, {
        method: "POST",
        body: { source_blob: { url: source.source_blob.get_url } },
      });
      setOutput("");
      await follow(build.output_stream_url, (text) =>
        setOutput((old) => (old + text).slice(-200_000)),
      );
      const done = await finished(`${path}/builds/${build.id}`);
      releases.reload();
      reload();
      if (done.status !== "succeeded") throw new Error("The build failed; its output says why.");
    });

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const items = [...(event.dataTransfer?.items ?? [])];
    const directory = items
      .map((item) => item.webkitGetAsEntry())
      .find((entry) => entry?.isDirectory);
    const file = event.dataTransfer?.files[0];
    if (directory)
      deploy.run(async () => upload(await packDirectory(directory as FileSystemDirectoryEntry)));
    else if (file) upload(file);
  };

  return (
    <>
      <Panel title="Deploy">
        {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is a convenience; the file field does the same. */}
        <div
          class={`drop ${over ? "over" : ""}`}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={drop}
        >
          <p>Drop a folder or a .tar.gz here, or</p>
          <label class="button">
            choose an archive
            <input
              type="file"
              class="visually-hidden"
              accept=".tgz,.gz,application/gzip"
              disabled={deploy.busy}
              onChange={(event) => {
                const file = event.currentTarget.files?.[0];
                if (file) upload(file);
              }}
            />
          </label>
        </div>
        <Failure message={deploy.error} />
        {output !== "" && (
          <section class="output" aria-label="Build output">
            <pre>{output}</pre>
          </section>
        )}
      </Panel>
      <Panel title="Releases">
        <Failure message={rollback.error ?? releases.error} />
        <ol class="releases">
          {releases.value?.map((release, index) => (
            <li key={release.id}>
              <details>
                <summary>
                  <strong>v{release.version}</strong> {release.description}{" "}
                  <State value={release.current ? "current" : release.status} />{" "}
                  <span class="muted">
                    {release.user.email}, <Ago time={release.created_at} />
                  </span>
                </summary>
                <Difference app={app.id} release={release} before={releases.value?.[index + 1]} />
              </details>
              {!release.current && release.eligible_for_rollback && (
                <button
                  type="button"
                  class="quiet"
                  disabled={rollback.busy}
                  aria-label={`Roll back to v${release.version}`}
                  onClick={() =>
                    rollback.run(async () => {
                      await call(`${path}/releases`, {
                        method: "POST",
                        body: { release: release.id },
                      });
                      releases.reload();
                    })
                  }
                >
                  Roll back
                </button>
              )}
            </li>
          ))}
        </ol>
      </Panel>
    </>
  );
}

/** What a release changed: its code, and the names (never the values) of its config vars. */
function Difference({
  app,
  release,
  before,
}: {
  app: string;
  release: Release;
  before: Release | undefined;
}) {
  const load = async () => {
    const config = (version: number) =>
      call<Record<string, string>>(`/apps/${app}/releases/${version}/config-vars`);
    const now = await config(release.version);
    const old = before ? await config(before.version) : {};
    return [...new Set([...Object.keys(old), ...Object.keys(now)])].sort().flatMap((key) => {
      if (!(key in old)) return [`+ ${key}`];
      if (!(key in now)) return [`- ${key}`];
      return old[key] === now[key] ? [] : [`~ ${key}`];
    });
  };
  const changes = useLoaded(load, [release.id]);
  const code = release.slug?.id === before?.slug?.id ? "same code" : "new code";
  return (
    <p class="muted">
      {code}; config: {changes.value === undefined ? "…" : changes.value.join(", ") || "unchanged"}
    </p>
  );
}

async function follow(url: string, onText: (text: string) => void): Promise<void> {
  const response = await stream(url, new AbortController().signal);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) return;
    onText(part.value);
  }
}

async function finished(path: string): Promise<Build> {
  for (;;) {
    const build = await call<Build>(path);
    if (build.status !== "pending") return build;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** A dropped folder as a gzipped tar, made in the page. */
async function packDirectory(root: FileSystemDirectoryEntry): Promise<Blob> {
  const blocks: BlobPart[] = [];
  const add = async (entry: FileSystemEntry, path: string): Promise<void> => {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    const padding = new Uint8Array((512 - (file.size % 512)) % 512);
    blocks.push(tarHeader(path, file.size, file.lastModified), file, padding);
  };
  for (const child of await readAll(root)) await walk(child, child.name, add);
  blocks.push(new Uint8Array(1024));
  const packed = new Blob(blocks).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(packed).blob();
}

async function walk(
  entry: FileSystemEntry,
  path: string,
  visit: (entry: FileSystemEntry, path: string) => Promise<void>,
): Promise<void> {
  if (!entry.isDirectory) return visit(entry, path);
  if (entry.name === "node_modules" || entry.name === ".git") return;
  for (const child of await readAll(entry as FileSystemDirectoryEntry))
    await walk(child, `${path}/${child.name}`, visit);
}

// A reader hands out entries a hundred at a time, and an empty list at the end.
async function readAll(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (part.length === 0) return all;
    all.push(...part);
  }
}
