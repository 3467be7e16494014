export { DEFAULT_ANSWER, type ProxyCase, type ProxyExpectation } from "./case.ts";
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
