// Numbers for people, and back.

const PREFIXES = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];

const short = (value) => (value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3));

/** `64 MiB`. Exact if it can be: sizes of disks are compared by eye. */
export function bytes(count) {
  let at = 0;
  while (count >= 1024 && at < PREFIXES.length - 1) {
    count /= 1024;
    at += 1;
  }
  return `${short(count)} ${PREFIXES[at]}B`;
}

/** `1.5G`, `64 MiB`, `512`: bytes, or null if it is no size. */
export function parseBytes(text) {
  const found = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i.exec(text);
  if (found === null) return null;
  const power = " kmgtp".indexOf(found[2].toLowerCase() || " ");
  const whole = Math.round(Number(found[1]) * 1024 ** power);
  return whole > 0 && Number.isSafeInteger(whole) ? whole : null;
}

/** `12.3 k`: so many a second. */
export function rate(count) {
  if (count < 1000) return count < 10 && count > 0 ? count.toFixed(1) : count.toFixed(0);
  return count < 1e6 ? `${short(count / 1e3)} k` : `${short(count / 1e6)} M`;
}

/** `85 µs`. */
export function duration(nanos) {
  if (nanos < 1e3) return `${nanos.toFixed(0)} ns`;
  if (nanos < 1e6) return `${short(nanos / 1e3)} µs`;
  return nanos < 1e9 ? `${short(nanos / 1e6)} ms` : `${short(nanos / 1e9)} s`;
}

/** `1 LUN`, `3 LUNs`. */
export const many = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
