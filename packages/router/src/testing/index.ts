export { DEFAULT_ANSWER, type ProxyCase, type ProxyExpectation, type ProxyState } from "./case.ts";
export {
  type DescribeProxyOptions,
  describeProxy,
  finalStatus,
  judgeCase,
  KitBackend,
  type KitRunner,
  observeCase,
  PROXY_CASES,
  type ProxyObservation,
  type ProxyUnderTest,
} from "./kit.ts";
export { STATE_CASES } from "./state-cases.ts";
