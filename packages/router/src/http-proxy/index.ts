export {
  createHttpProxyForwarder,
  type HttpProxyForwarderOptions,
  type ProxyModule,
} from "./forwarder.ts";
