import type { Shape } from "./wire.ts";

// Numbers and names of opentelemetry-proto, logs v1; what is not read or written is left out.

const ANY_VALUE: Shape = {
  fields: {
    1: { name: "stringValue", type: "string" },
    2: { name: "boolValue", type: "bool" },
    3: { name: "intValue", type: "int64" },
    4: { name: "doubleValue", type: "double" },
    5: { name: "arrayValue", type: () => ARRAY_VALUE },
    6: { name: "kvlistValue", type: () => KEY_VALUE_LIST },
    7: { name: "bytesValue", type: "bytes" },
  },
};
const ARRAY_VALUE: Shape = { fields: { 1: { name: "values", type: ANY_VALUE, repeated: true } } };
const KEY_VALUE: Shape = {
  fields: { 1: { name: "key", type: "string" }, 2: { name: "value", type: ANY_VALUE } },
};
const KEY_VALUE_LIST: Shape = {
  fields: { 1: { name: "values", type: KEY_VALUE, repeated: true } },
};
const RESOURCE: Shape = { fields: { 1: { name: "attributes", type: KEY_VALUE, repeated: true } } };
const SCOPE: Shape = {
  fields: { 1: { name: "name", type: "string" }, 2: { name: "version", type: "string" } },
};
const LOG_RECORD: Shape = {
  fields: {
    1: { name: "timeUnixNano", type: "fixed64" },
    2: { name: "severityNumber", type: "uint32" },
    3: { name: "severityText", type: "string" },
    5: { name: "body", type: ANY_VALUE },
    6: { name: "attributes", type: KEY_VALUE, repeated: true },
    8: { name: "flags", type: "fixed32" },
    9: { name: "traceId", type: "bytes" },
    10: { name: "spanId", type: "bytes" },
    11: { name: "observedTimeUnixNano", type: "fixed64" },
    12: { name: "eventName", type: "string" },
  },
};
const SCOPE_LOGS: Shape = {
  fields: {
    1: { name: "scope", type: SCOPE },
    2: { name: "logRecords", type: LOG_RECORD, repeated: true },
  },
};
const RESOURCE_LOGS: Shape = {
  fields: {
    1: { name: "resource", type: RESOURCE },
    2: { name: "scopeLogs", type: SCOPE_LOGS, repeated: true },
  },
};

/** `ExportLogsServiceRequest`. */
export const EXPORT_REQUEST: Shape = {
  fields: { 1: { name: "resourceLogs", type: RESOURCE_LOGS, repeated: true } },
};

/** `ExportLogsServiceResponse`. */
export const EXPORT_RESPONSE: Shape = {
  fields: {
    1: {
      name: "partialSuccess",
      type: {
        fields: {
          1: { name: "rejectedLogRecords", type: "int64" },
          2: { name: "errorMessage", type: "string" },
        },
      },
    },
  },
};
