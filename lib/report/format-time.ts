/** Times for people. */

/** `12.3 µs`. */
export function formatTime(ns: number): string {
  for (const [unit, size] of [
    ['s', 1e9],
    ['ms', 1e6],
    ['µs', 1e3],
  ] as const) {
    if (ns < size) continue;
    const value = ns / size;
    return `${value >= 100 ? Math.round(value) : value.toPrecision(3)} ${unit}`;
  }
  return `${Math.round(ns)} ns`;
}
