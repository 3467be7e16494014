export { type BufferSubject, bufferChecks, describeBuffer } from "./buffer-kit.ts";
export { type DrainSubject, describeDrain, drainChecks } from "./drain-kit.ts";
export type { KitCheck, TestRunner } from "./kit.ts";
export { createMemorySource, type MemorySource } from "./memory-source.ts";
export { describeSharedBuffer, sharedBufferChecks } from "./shared-buffer-kit.ts";
export { createVirtualClock, type VirtualClock } from "./virtual-clock.ts";
