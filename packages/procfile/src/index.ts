export type {
  CompatCell,
  CompatEntry,
  CompatOutcome,
  CompatPeer,
  CompatReport,
} from "./compat/compat.ts";
export { compat } from "./compat/compat.ts";
export type { Peer, PeerName } from "./compat/peers.ts";
export { peers } from "./compat/peers.ts";
export type { PeerProcess, PeerReading } from "./compat/read.ts";
export type { Diagnostic, DiagnosticCode, Dialect, Severity } from "./diagnostic.ts";
export { diagnosticTable } from "./diagnostic.ts";
export type { EnvEditor } from "./edit/env.ts";
export { editEnv } from "./edit/env.ts";
export type { EditOptions, MoveTarget, ProcfileEditor } from "./edit/procfile.ts";
export { edit } from "./edit/procfile.ts";
export type { EnvDiagnosticCode } from "./env/diagnostics.ts";
export { envDiagnosticTable } from "./env/diagnostics.ts";
export type { EnvFile, ParseEnvOptions } from "./env/parse.ts";
export { parseEnv } from "./env/parse.ts";
export type { EnvPrecedence, MergedEnv } from "./env/precedence.ts";
export { envPrecedence, mergeEnv } from "./env/precedence.ts";
export type { EnvReader } from "./env/readers.ts";
export { stringifyEnv } from "./env/stringify.ts";
export type { EnvEntry, EnvNode, EnvTree } from "./env/tree.ts";
export type { ProcfileErrorCode } from "./errors.ts";
export { ProcfileError, procfileErrorCodes } from "./errors.ts";
export { expandCommand } from "./expand.ts";
export type { ExportTarget } from "./export/export.ts";
export { exportFormation, exportTargets } from "./export/export.ts";
export type {
  ExportedFile,
  ExportOptions,
  ExportPlan,
  PlannedInstance,
  PlannedType,
} from "./export/plan.ts";
export type { ExportTemplate, TemplateFile } from "./export/template.ts";
export type { FormatOptions } from "./format.ts";
export { format, formatEdits } from "./format.ts";
export type { FormatFormationOptions } from "./formation/format.ts";
export { formatFormation } from "./formation/format.ts";
export type {
  FormationChange,
  FormationDiagnosticCode,
  FormationResult,
  ParseFormationOptions,
} from "./formation/parse.ts";
export { formationDiagnosticTable, parseFormation } from "./formation/parse.ts";
export type { SizedQuantity } from "./formation/resolve.ts";
export type { LintOptions } from "./lint/lint.ts";
export { lint } from "./lint/lint.ts";
export type { LintRule } from "./lint/table.ts";
export { lintTable } from "./lint/table.ts";
export type { LookupCode, LookupDiagnostic, LookupResult } from "./lookup.ts";
export { findProcfile } from "./lookup.ts";
export { isValidName, normaliseName } from "./name.ts";
export type { ParseOptions, Procfile } from "./parse.ts";
export { parse, parseOrThrow } from "./parse.ts";
export type { AssignedPort, AssignPortsOptions, PortAssignment } from "./ports.ts";
export { assignPorts } from "./ports.ts";
export type { Position, Range, TextEdit } from "./position.ts";
export { applyEdits } from "./position.ts";
export type { EntryLike } from "./stringify.ts";
export { stringify } from "./stringify.ts";
export type { Entry, LineEnd, LineKind, LineNode, ProcfileTree } from "./tree.ts";
export { print } from "./tree.ts";
