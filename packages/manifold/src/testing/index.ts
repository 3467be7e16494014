export { driverChecks } from "./checks.ts";
export type { Output, Started } from "./context.ts";
export { CheckContext } from "./context.ts";
export type { DescribeOptions } from "./describe.ts";
export { describeDriver } from "./describe.ts";
export type { FixtureName } from "./fixtures.ts";
export { fixture, fixtures, readFixture } from "./fixtures.ts";
export { memoryFixtures } from "./memory-fixtures.ts";
export { runCheck, runDriverChecks } from "./run.ts";
export { packSlug } from "./slug.ts";
export { formatChecks, formatMarkdown, formatResults } from "./table.ts";
export type {
  Check,
  CheckResult,
  Concern,
  ExpectedCapabilities,
  KitOptions,
  MakeDriver,
} from "./types.ts";
