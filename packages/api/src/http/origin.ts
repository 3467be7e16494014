import { AsyncLocalStorage } from "node:async_hooks";

/**
 * The origin a client used for the request being answered. URLs in answers start with it, so a
 * client behind a tunnel or on another name of the host gets URLs that it can reach.
 */
export const requestOrigin = new AsyncLocalStorage<string>();
