/** Path of a `setpriv` that can set a parent-death signal; empty where there is none. */
export declare function findSetpriv(): string;
