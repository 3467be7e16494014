export declare function lostBetween(
  directory: string,
  from: number,
  to: number,
  delivered: number,
): number;
