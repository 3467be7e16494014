import { z } from "zod";

export const optionsSchema = z
  .object({
    /** Path of the engine's UNIX socket. */
    socketPath: z.string().default("/var/run/docker.sock"),
    /** Image every dyno runs in; the slug is unpacked to `/app` of it. It must have `/bin/sh`. */
    image: z.string(),
    /** A user-defined network; created with dyno-to-dyno traffic blocked when it is missing. */
    network: z.string().default("dynokit"),
    /** `false` gives dynos no way out of their network. */
    egress: z.boolean().default(true),
    /** Port a web dyno binds; every container has its own, so one number serves all. */
    port: z.number().int().min(1).max(65_535).default(8080),
    /** Container user, for instance `1000:1000`; the image's own when absent. */
    user: z.string().optional(),
    /**
     * `false`: a dyno may also write to the rest of its image. As default it may to `/app` and
     * `/tmp`, as on Heroku.
     */
    readOnly: z.boolean().default(true),
    /** Value of the label by which this platform knows its containers. */
    platform: z.string().default("default"),
  })
  .strict();

/** Options of {@link dockerDriver}. */
export type DockerDriverOptions = z.input<typeof optionsSchema>;
export type Settings = z.output<typeof optionsSchema>;

/** Per-dyno options (`DynoSpec.config`). */
export const configSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  properties: {
    image: { type: "string", description: "Image of this dyno in place of the driver's." },
  },
} as const;
