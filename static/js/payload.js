/* The curves payload as columns for uPlot: undefined bridges, null breaks the line. Pure. */
import { formatCount, formatNumber } from "./format.js";

const SLOTS = 5;
const VALUES = 4;

function placeOf(payload, share) {
  const { lo, hi, x_scale: scale } = payload;
  if (scale !== "log") return lo + (hi - lo) * share;
  return 10 ** (Math.log10(lo) + (Math.log10(hi) - Math.log10(lo)) * share);
}

/** The x column that all series of the payload share. */
export function buildX(payload) {
  if (payload.method === "raw") return payload.x;
  const x = [];
  for (let slot = 0; slot < payload.buckets * SLOTS; slot += 1) {
    x.push(placeOf(payload, (slot + 0.5) / (payload.buckets * SLOTS)));
  }
  return x;
}

export function buildY(payload, series) {
  const breaks = new Set(series.breaks ?? []);
  if (payload.method === "raw") {
    return series.y.map((value, place) => (breaks.has(place) ? null : value ?? undefined));
  }
  const y = [];
  for (let bucket = 0; bucket < payload.buckets; bucket += 1) {
    for (let slot = 0; slot < VALUES; slot += 1) {
      y.push(series.y[bucket * VALUES + slot] ?? undefined);
    }
    y.push(breaks.has(bucket) ? null : undefined);
  }
  return y;
}

/** The smooth values: one at each x, or one in the last slot of each bucket. */
export function buildSmooth(payload, series) {
  if (payload.method === "raw") {
    return buildY(payload, { y: series.smooth, breaks: series.breaks });
  }
  const breaks = new Set(series.breaks ?? []);
  const y = new Array(payload.buckets * SLOTS).fill(undefined);
  for (let bucket = 0; bucket < payload.buckets; bucket += 1) {
    y[bucket * SLOTS + VALUES - 1] = series.smooth[bucket] ?? undefined;
    if (breaks.has(bucket)) y[bucket * SLOTS + VALUES] = null;
  }
  return y;
}

/** Non-finite values: where to draw a cross (y null = nothing finite: bottom edge), and how many. */
export function buildMarks(payload, series) {
  return (series.marks ?? []).map(([place, kind, count, y]) => ({
    x: payload.method === "raw"
      ? payload.x[place]
      : placeOf(payload, (place + 0.5) / payload.buckets),
    kind,
    count,
    y,
  }));
}

/** What stands at a column: the exact value, or the bucket's steps and extremes. */
export function describeAt(payload, series, column) {
  if (payload.method === "raw") return { from: payload.x[column], value: series.y[column] };
  const bucket = Math.floor(column / SLOTS);
  const values = series.y.slice(bucket * VALUES, bucket * VALUES + VALUES);
  const known = values.filter((value) => value !== null && value !== undefined);
  return {
    from: placeOf(payload, bucket / payload.buckets),
    to: placeOf(payload, (bucket + 1) / payload.buckets),
    low: known.length ? Math.min(...known) : null,
    high: known.length ? Math.max(...known) : null,
  };
}

export function countMarks(series) {
  const counts = new Map();
  for (const [, kind, count] of series.marks ?? []) {
    counts.set(kind, (counts.get(kind) ?? 0) + count);
  }
  return counts;
}

const UNITS = { tokens: " tokens", flops: " FLOPs" };
const HOUR = 3600;

function formatMoment(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}

function formatSeconds(seconds) {
  return seconds >= HOUR ? `${formatNumber(seconds / HOUR)} h` : `${formatNumber(seconds)} s`;
}

/** A place on the x axis in words: "step 12,000", "steps 12,000–12,240", "3.2·10⁸ tokens". */
export function formatX({ x_axis: axis }, { from, to }) {
  const isRange = to !== undefined;
  const join = (write) => (isRange ? `${write(from)} – ${write(to)}` : write(from));
  if (axis === "step") return `step${isRange ? "s" : ""} ${join((value) => formatCount(Math.round(value)))}`;
  if (axis === "time") return join(formatMoment);
  if (axis === "relative") return join(formatSeconds);
  const name = axis.startsWith("metric:") ? `${axis.slice(7)} ` : "";
  return `${name}${join(formatNumber)}${UNITS[axis] ?? ""}`;
}
