import type { Stage } from "../ast.ts";
import type { StageRun } from "../pipeline.ts";
import { createParse } from "./parse.ts";
import { createRedact } from "./redact.ts";
import { createDrop, createFields } from "./reshape.ts";
import { createStats } from "./stats.ts";
import { createDedupe, createRate, createSample } from "./throttle.ts";

/** Parsed stage → running stage with fresh state. */
export function createStage(stage: Stage): StageRun {
  switch (stage.kind) {
    case "parse":
      return createParse(stage.format, stage.regex);
    case "fields":
      return createFields(stage.fields);
    case "drop":
      return createDrop(stage.fields);
    case "redact":
      return createRedact(stage.targets);
    case "sample":
      return createSample(stage.percent, stage.by);
    case "rate":
      return createRate(stage.perSecond, stage.burst, stage.by);
    case "dedupe":
      return createDedupe(stage.windowUs, stage.by);
    case "stats":
      return createStats(stage.aggregates, stage.by, stage.everyUs);
    default:
      return createHead(stage.count);
  }
}

function createHead(count: number): StageRun {
  let left = count;
  return {
    get done() {
      return left === 0;
    },
    push(row, emit) {
      if (left === 0) return;
      left--;
      emit(row);
    },
  };
}
