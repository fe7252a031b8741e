/* Save a chart of curves: PNG and SVG for paper, CSV and JSON of what is drawn. */
import { buildSvg } from "./chart_svg.js";
import { formatCount } from "./format.js";
import { describeAt } from "./payload.js";
import { saveFile, saveText, writeCell } from "./saving.js";

const PIXELS = 2; // of the picture for one of the SVG: 2,400 by 1,260, for print

function* listValues(payload, label, series, size) {
  const isBucketed = payload.method !== "raw";
  for (let place = 0; place < size; place += 1) {
    const values = isBucketed ? series.y.slice(place * 4, place * 4 + 4) : [series.y[place]];
    const { from, to = "" } = describeAt(payload, series, isBucketed ? place * 5 : place);
    for (const value of values) {
      if (value !== null && value !== undefined) yield [label, from, to, value];
    }
  }
}

/** Rows of the CSV: every drawn value with its x, or with the bucket that it stands in. */
function* listRows({ payload, exported: lines }) {
  const isBucketed = payload.method !== "raw";
  const size = isBucketed ? payload.buckets : payload.x.length;
  for (const { line, series } of [...lines].reverse()) {
    yield* listValues(payload, line.label, series, size);
    const fewer = payload.fewer?.[line.key];
    if (fewer) yield* listValues(payload, `${line.label}, not all runs`, { y: fewer }, size);
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

/** The same picture as the SVG, in pixels. */
async function buildPicture(svg) {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * PIXELS;
  canvas.height = image.naturalHeight * PIXELS;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(url);
  return new Promise((done) => canvas.toBlob(done));
}

const TEXTS = {
  csv: [buildCurvesCsv, "text/csv"],
  json: [buildCurvesJson, "application/json"],
  svg: [(chart) => buildSvg(chart, titleOf(chart)), "image/svg+xml"],
};

export async function exportChart(chart, kind) {
  if (!chart?.plot) return;
  chart.element.querySelector("details.chart-export")?.removeAttribute("open");
  const name = `scaledash-${titleOf(chart).replaceAll(/[^\w.-]+/g, "_")}.${kind}`;
  if (TEXTS[kind]) {
    const [build, type] = TEXTS[kind];
    saveText(build(chart), name, type);
    return;
  }
  const picture = await buildPicture(TEXTS.svg[0](chart));
  saveFile(picture, name);
}
