// A program and no library: the process driver starts it by its path.
export {};
