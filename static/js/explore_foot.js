/* What stands under a chart of many curves: everything that was counted and not drawn. */
import { formatCount } from "./format.js";
import { countMarks } from "./payload.js";

const plural = (count, noun) => `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
const sum = (series, key) => series.reduce((total, one) => total + (one[key] ?? 0), 0);

function countAllMarks(series) {
  const counts = new Map();
  for (const one of series) {
    for (const [kind, count] of countMarks(one)) counts.set(kind, (counts.get(kind) ?? 0) + count);
  }
  return counts;
}

function list(payload, body, view) {
  const series = Object.values(payload.series);
  const where = view.window ? " in view" : "";
  const total = `${plural(payload.points_total, "point")}${where}`;
  const isThinned = payload.method !== "raw";
  const curves = plural(series.length, payload.groups ? "group" : "curve");
  const sent = formatCount(payload.points_sent);
  const parts = [
    [payload.groups ? `${curves} of ${total}` : `${curves}: ${isThinned ? `${sent} of ${total}, extremes kept` : total}`, "counted"],
  ];
  for (const [kind, count] of countAllMarks(series)) parts.push([`${formatCount(count)} × ${kind}`, "badge bad"]);
  const nonpositive = sum(series, "nonpositive");
  if (nonpositive) parts.push([`${formatCount(nonpositive)} at ≤ 0`, "badge"]);
  if (payload.x_nonpositive) parts.push([`${formatCount(payload.x_nonpositive)} at x ≤ 0, not drawn`, "badge"]);
  if (payload.x_axis.startsWith("metric:")) parts.unshift([`over ${payload.x_axis.slice(7)}`, ""]);
  if (body.n_without_metric) parts.push([`${plural(body.n_without_metric, "run")} without ${body.metric}`, "badge plain"]);
  if (body.without_x.length) parts.push([`${plural(body.without_x.length, "run")} without this x axis`, "badge"]);
  const overwritten = sum(series, "overwritten");
  if (overwritten) parts.push([`${formatCount(overwritten)} overwritten`, "badge"]);
  const superseded = sum(series, "superseded");
  if (superseded) parts.push([`${formatCount(superseded)} superseded`, "badge plain"]);
  const groups = Object.values(payload.groups ?? {});
  if (groups.some((group) => group.n_runs_least < group.runs.length)) {
    parts.push(["pale where not all runs of a group have points", "badge plain"]);
  }
  if (payload.is_raw_hidden) parts.push(["smooth curves only", "badge plain"]);
  return parts;
}

export function describeChart(figure, payload, body, view) {
  figure.dataset.n = payload.points_total;
  figure.dataset.drawn = payload.points_sent;
  figure.dataset.curves = payload.lines.length;
  figure.dataset.method = payload.method;
  figure.querySelector(".foot").replaceChildren(
    ...list(payload, body, view).map(([text, className]) => {
      const part = document.createElement("span");
      part.className = className;
      part.textContent = text;
      return part;
    }),
  );
}
