import { describe, it } from "node:test";
import { describeDriver } from "@dynokit/manifold/testing";
import { make, options } from "./kit.ts";

describeDriver(make, { ...options, describe, it });
