/* Save a chart of curves: PNG of the canvas with title and legend, SVG, CSV and JSON of what is drawn. */
import { buildSvg } from "./chart_svg.js";
import { formatCount } from "./format.js";
import { describeAt } from "./payload.js";
import { save, saveText, writeCell } from "./saving.js";
import { readTokens } from "./theme.js";

const MARGIN = 16;
const TITLE = 30;
const ROW = 18;
const MOST_NAMED = 12;

/** Rows of the CSV: every drawn value with its x, or with the bucket that it stands in. */
function* listRows({ payload, exported: lines }) {
  const isBucketed = payload.method !== "raw";
  const size = isBucketed ? payload.buckets : payload.x.length;
  for (const { line, series } of [...lines].reverse()) {
    for (let place = 0; place < size; place += 1) {
      const values = isBucketed ? series.y.slice(place * 4, place * 4 + 4) : [series.y[place]];
      const { from, to = "" } = describeAt(payload, series, isBucketed ? place * 5 : place);
      for (const value of values) {
        if (value !== null && value !== undefined) yield [line.label, from, to, value];
      }
    }
    for (const [place, kind, count] of series.marks ?? []) {
      const { from, to = "" } = describeAt(payload, series, isBucketed ? place * 5 : place);
      for (let i = 0; i < count; i += 1) yield [line.label, from, to, kind];
    }
  }
}

/** Many curves are read with fewer digits than were logged; a file says so. */
function digitsOf({ method, digits = method === "raw" ? null : 5 }) {
  return digits ? `, ${digits} digits` : "";
}

export function buildCurvesCsv(chart) {
  const { payload, element } = chart;
  const filter = new URLSearchParams(location.search).get("f") ?? "";
  const comments = [
    `# ${titleOf(chart)}`,
    `# x: ${payload.x_axis}; ${payload.method === "raw" ? "every point" : "first, least, greatest and last value of each bucket"}${digitsOf(payload)}`,
    `# filter: ${filter || "none"}; ${formatCount(payload.points_total)} points`,
    `# ${location.href}`,
    `# ${new Date().toISOString()}`,
  ].map((line) => line.replaceAll(/[\r\n]+/g, " "));
  const head = ["curve", payload.method === "raw" ? payload.x_axis : "x_from", "x_to", "value"];
  const rows = [...listRows(chart)].map((row) => row.map(writeCell).join(","));
  return [...comments, head.map(writeCell).join(","), ...rows, ""].join("\n");
}

/** What is drawn, as JSON: every curve with its points, or with the buckets they stand in. */
export function buildCurvesJson(chart) {
  const { payload, element } = chart;
  const { metric, facet = "" } = element.dataset;
  const { x_axis, method, points_total, digits } = payload;
  const columns = ["curve", "x_from", "x_to", "value"];
  const head = { metric, facet, url: location.href, made_at: new Date(), x_axis, method, points_total, digits };
  return JSON.stringify({ ...head, columns, rows: [...listRows(chart)] });
}

export function titleOf({ element: { dataset } }) {
  return [dataset.metric, dataset.facet].filter(Boolean).join(" ");
}

function buildPicture(chart) {
  const source = chart.plot.root.querySelector("canvas:not(.overlay)");
  const scale = devicePixelRatio;
  const named = [...chart.exported].reverse().slice(0, MOST_NAMED);
  const canvas = document.createElement("canvas");
  canvas.width = source.width + 2 * MARGIN * scale;
  canvas.height = source.height + (TITLE + ROW * (named.length + 1) + MARGIN) * scale;
  const context = canvas.getContext("2d");
  const [panel, ink, ink2] = readTokens("panel", "ink", "ink2");
  context.fillStyle = panel;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, MARGIN * scale, TITLE * scale);
  context.scale(scale, scale);
  context.fillStyle = ink;
  context.font = "600 14px sans-serif";
  context.fillText(titleOf(chart), MARGIN, 20);
  context.font = "12px sans-serif";
  const top = TITLE + source.height / scale + ROW;
  named.forEach(({ line }, place) => {
    context.fillStyle = chart.colourOfLine(line);
    context.fillRect(MARGIN, top + place * ROW - 7, 14, 3);
    context.fillStyle = ink2;
    context.fillText(line.label, MARGIN + 20, top + place * ROW);
  });
  if (chart.exported.length > named.length) {
    context.fillText(`and ${chart.exported.length - named.length} more`, MARGIN + 20, top + named.length * ROW);
  }
  return canvas;
}

const TEXTS = {
  csv: [buildCurvesCsv, "text/csv"],
  json: [buildCurvesJson, "application/json"],
  svg: [(chart) => buildSvg(chart, titleOf(chart)), "image/svg+xml"],
};

export function exportChart(chart, kind) {
  if (!chart?.plot) return;
  chart.element.querySelector("details.chart-export")?.removeAttribute("open");
  const name = `scaledash-${titleOf(chart).replaceAll(/[^\w.-]+/g, "_")}`;
  if (TEXTS[kind]) {
    const [build, type] = TEXTS[kind];
    saveText(build(chart), `${name}.${kind}`, type);
    return;
  }
  buildPicture(chart).toBlob((blob) => {
    const url = URL.createObjectURL(blob);
    save(url, `${name}.png`);
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
}
