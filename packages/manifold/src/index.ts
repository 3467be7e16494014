export type { AutoscaleOptions, AutoscalePolicy, Scalable } from "./autoscale/autoscale.ts";
export { autoscale, cpuPercent, decideQuantity } from "./autoscale/autoscale.ts";
export type { Clock, TimerHandle } from "./clock.ts";
export { systemClock } from "./clock.ts";
export type { ReleaseOptions, ReleaseResult, ReleaseRun } from "./control/release-phase.ts";
export { releaseTimeoutMs } from "./control/release-phase.ts";
export { throwIfAborted, untilAborted } from "./driver/aborted.ts";
export { canConnect } from "./driver/can-connect.ts";
export type { CapabilityOptions } from "./driver/capabilities.ts";
export { defineCapabilities, noCapabilities } from "./driver/capabilities.ts";
export { checkSignal, checkSpec, isDynoId } from "./driver/check-spec.ts";
export type {
  DriverCapabilities,
  DriverEvent,
  DriverHandle,
  DriverInfo,
  DriverSession,
  DynoAddress,
  DynoDriver,
  DynoInspection,
  DynoLabels,
  DynoLimits,
  DynoSpec,
  DynoStats,
  ExitResult,
  LogChunk,
  LogLines,
  RecoverResult,
  SlugRef,
  StopOptions,
} from "./driver/contract.ts";
export type { DriverErrorCode, DriverErrorOptions } from "./driver/errors.ts";
export { DriverError, driverErrorCodes } from "./driver/errors.ts";
export { signalOfStatus } from "./driver/exit-status.ts";
export { acceptsInterface, interfaceVersion } from "./driver/interface-range.ts";
export { LineSplitter } from "./driver/line-splitter.ts";
export type { LogBufferOptions } from "./driver/log-buffer.ts";
export { LogBuffer } from "./driver/log-buffer.ts";
export { runProgram } from "./driver/run-program.ts";
export { defaultStateDirectory } from "./driver/state-directory.ts";
export type { StopSteps } from "./driver/stop.ts";
export { escalatingStop } from "./driver/stop.ts";
export type { Unsupported } from "./driver/unsupported.ts";
export { unsupported } from "./driver/unsupported.ts";
export type { MemoryProcess, MemoryProgram } from "./drivers/memory/program.ts";
export type { MemoryScript, MemoryScripts } from "./drivers/memory/script.ts";
export type { MemoryDriverOptions } from "./drivers/memory.ts";
export { MemoryWorld, memoryDriver } from "./drivers/memory.ts";
export { giveToUser } from "./drivers/process/users.ts";
export type { ProcessDriverOptions, ProcessDynoDriver } from "./drivers/process.ts";
export { processDriver } from "./drivers/process.ts";
export type { ManifoldErrorCode } from "./errors.ts";
export { ManifoldError, manifoldErrorCodes } from "./errors.ts";
export type { Lease } from "./lease/lease.ts";
export { memoryLease } from "./lease/memory.ts";
export type { PostgresLeaseOptions, PostgresQueryable } from "./lease/postgres.ts";
export { postgresLease } from "./lease/postgres.ts";
export type { RedisCommander, RedisLeaseOptions } from "./lease/redis.ts";
export { redisLease } from "./lease/redis.ts";
export { dynoErrorNames, exitStatus, logLines } from "./log-lines.ts";
export type { Logger } from "./logger.ts";
export { Manifold } from "./manifold.ts";
export type { CloseOptions, ExecOptions, ManifoldOptions } from "./manifold-options.ts";
export type {
  CyclePolicy,
  CycleStrategy,
  IdlePolicy,
  Policy,
  PolicyOptions,
  PresetName,
  RestartPolicy,
  RolloutPolicy,
  StopPolicy,
} from "./policy/policy.ts";
export { policyPresets, restartPresets } from "./policy/presets.ts";
export { resolvePolicy } from "./policy/resolve.ts";
export type { ScheduleEntry } from "./schedule/schedule.ts";
export { nextRun } from "./schedule/schedule.ts";
export type { DynoSize } from "./sizes.ts";
export { defaultDynoSize, dynoSizes } from "./sizes.ts";
export type {
  DrainHandler,
  DynoCause,
  DynoEvent,
  DynoInfo,
  DynoSelector,
  DynoState,
  DynoUsage,
  Formation,
  LogBatch,
  LogBlock,
  LogSink,
  OneOffOptions,
  OneOffSession,
  ProcessDefinition,
  ReleaseRef,
  Rollout,
  RolloutResult,
} from "./types.ts";
export type { VirtualClock } from "./virtual-clock.ts";
export { virtualClock } from "./virtual-clock.ts";
