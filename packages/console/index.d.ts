/** Directory of the built console: serve it as static files, `index.html` for its root. */
export declare const directory: string;
