// Live plots of storage objects: what was counted between two readings of `GET /v1/stats`, for two minutes.

import { find, make } from "./dom.js";
import { bytes, duration, many, rate } from "./units.js";

const POINTS = 120;
/** More at a time would not be seen; the filter chooses. */
const CARDS = 24;

/** The rows of a card: two lines each. */
const ROWS = [
  { title: "Throughput", keys: ["bytesIn", "bytesOut"], says: (n) => `${bytes(n)}/s`, words: ["read", "written"], add: true },
  { title: "IOPS", keys: ["reads", "writes"], says: rate, words: ["reads", "writes"], add: true },
  { title: "Latency", keys: ["mean", "slow"], says: duration, words: ["mean", "99 %"], add: false },
];

const histories = new Map();
const cards = new Map();
let before;

/** Takes up a reading, and shows it. */
export function show(stats) {
  const seconds = before === undefined ? 0 : (stats.at_nanos - before.at_nanos) / 1e9;
  if (seconds > 0) {
    const earlier = new Map(before.storage.map((object) => [object.storage, object]));
    for (const object of stats.storage) {
      const last = earlier.get(object.storage);
      if (last === undefined) continue;
      const history = histories.get(object.storage) ?? [];
      histories.set(object.storage, [...history, difference(object, last, seconds, stats.bounds_nanos)].slice(-POINTS));
    }
  }
  before = stats;
  draw();
}

/** Shows the cards that the filter lets through. */
export function draw() {
  if (before === undefined) return;
  const text = find("#filter").value.trim().toLowerCase();
  const paths = before.storage.map((object) => object.storage);
  const meant = paths.filter((path) => path.toLowerCase().includes(text));
  const shown = new Set(meant.slice(0, CARDS));
  for (const [path, card] of cards) {
    if (shown.has(path)) continue;
    card.node.remove();
    cards.delete(path);
  }
  for (const path of histories.keys()) if (!paths.includes(path)) histories.delete(path);
  for (const path of shown) {
    if (!cards.has(path)) cards.set(path, card(path));
    const { node, update } = cards.get(path);
    if (!node.isConnected) find("#plots").append(node);
    update(histories.get(path) ?? []);
  }
  const more = meant.length - shown.size;
  find("#more").hidden = more === 0;
  find("#more").textContent = `${many(more, "more object")}: the filter chooses by name.`;
  find("#live").hidden = paths.length === 0;
}

/** What happened in between, a second. Counters of what was opened anew begin at zero. */
function difference(now, last, seconds, bounds) {
  const grown = (count) => Math.max(0, count(now) - count(last)) / seconds;
  const buckets = now.latency.buckets.map((count, at) => Math.max(0, count - (last.latency.buckets[at] ?? 0)));
  const finished = buckets.reduce((sum, count) => sum + count, 0);
  const spent = Math.max(0, now.latency.total_nanos - last.latency.total_nanos);
  return {
    bytesIn: grown((object) => object.bytes_in),
    bytesOut: grown((object) => object.bytes_out),
    reads: grown((object) => object.commands.read),
    writes: grown((object) => object.commands.write),
    mean: finished === 0 ? null : spent / finished,
    slow: quantile(buckets, finished, 0.99, bounds),
  };
}

function quantile(buckets, count, share, bounds) {
  if (count === 0) return null;
  let left = Math.ceil(count * share);
  const at = buckets.findIndex((bucket) => (left -= bucket) <= 0);
  return bounds[Math.min(at, bounds.length - 1)];
}

/** A card: its node, and how it is brought up to date without being made anew. */
function card(path) {
  const rows = ROWS.map(plot);
  const title = path.replace("/backstores/", "");
  const node = make("article", { class: "card", "data-storage": path }, make("h3", {}, title), rows.map((row) => row.node));
  return { node, update: (history) => rows.forEach((row) => row.update(history)) };
}

function plot({ title, keys, says, words, add }) {
  const lines = ["first", "second"].map((name) => make("path", { class: name, "vector-effect": "non-scaling-stroke" }));
  const now = make("strong");
  const parts = ["first", "second"].map((name) => make("span", { class: name }));
  const top = make("span", { class: "top" });
  const svg = make("svg", { viewBox: `0 0 ${POINTS} 40`, preserveAspectRatio: "none", "aria-hidden": "true" }, lines);
  const node = make("div", { class: "plot" }, make("p", {}, make("span", {}, title), now, make("span", { class: "note" }, parts)), make("div", { class: "area" }, svg, top));
  const update = (history) => {
    const last = history.at(-1) ?? {};
    const values = keys.map((key) => last[key] ?? null);
    const highest = Math.max(0, ...history.flatMap((point) => keys.map((key) => point[key] ?? 0)));
    now.textContent = add ? says((values[0] ?? 0) + (values[1] ?? 0)) : values[0] === null ? "–" : says(values[0]);
    values.forEach((value, at) => (parts[at].textContent = `${words[at]} ${value === null ? "–" : says(value)}`));
    top.textContent = highest > 0 ? says(highest) : "";
    keys.forEach((key, at) => lines[at].setAttribute("d", path(history.map((point) => point[key]), highest)));
  };
  return { node, update };
}

/** A line through the values, the newest at the right; interrupted where there is none. */
function path(values, highest) {
  const start = POINTS - values.length;
  let pen = "M";
  return values
    .map((value, at) => {
      if (value === null) {
        pen = "M";
        return "";
      }
      const step = `${pen}${start + at} ${(39 - (highest > 0 ? (value / highest) * 37 : 0)).toFixed(1)}`;
      pen = "L";
      return step;
    })
    .join("");
}
