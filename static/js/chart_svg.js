/* A chart of curves as SVG for paper: the window, scales and curves of the screen, in the light colours. */
import { DASHES } from "./overlay.js";
import { colourOf, roleColour } from "./palette.js";
import { formatTicks } from "./ticks.js";

const WIDTH = 1200;
const HEIGHT = 630;
const BOX = { left: 84, top: 48, right: 24, bottom: 60 };
const BOTTOM = HEIGHT - BOX.bottom;
const LEGEND = { sample: 48, letter: 7.4, size: 12.5 }; // beside the data, so that it hides nothing
const LOG = 3;
const MOST_NAMED = 26;
const ROW = 19;
const LETTERS = 38; // of a label beside its line
const CROSS = 4;
const ALPHA = { raw: 0.2, fewer: 0.5, diverged: 0.35, area: 0.16 };
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const UNITS = { tokens: "tokens", flops: "compute, FLOPs", time: "time", relative: "time since the start, s" };

const escape = (text) => String(text).replaceAll(/[&<>"]/g, (sign) => ESCAPES[sign]);
/** Paper is light, unless the address asks for theme=dark. */
const isDark = () => new URLSearchParams(location.search).get("theme") === "dark";
const role = (name) => roleColour(name, isDark());
const paint = (tone) => colourOf(tone, isDark()) ?? role("accent");
const round = (number) => number.toFixed(1);

/** Map a value of the plot's scale to the picture; uPlot knows log and symlog. */
function makeScale(plot, name, from, to) {
  const { min, max } = plot.scales[name];
  const [low, high] = [min, max].map((value) => plot.valToPos(value, name));
  return (value) => from + ((plot.valToPos(value, name) - low) / (high - low)) * (to - from);
}

/** Unbroken stretches of a column, as places in the picture. */
function listStretches(xs, values, [x, y]) {
  const stretches = [[]];
  for (let place = 0; place < xs.length; place += 1) {
    const value = values[place];
    if (value === null) stretches.push([]);
    if (typeof value === "number") stretches.at(-1).push(`${round(x(xs[place]))} ${round(y(value))}`);
  }
  return stretches.filter((stretch) => stretch.length);
}

function drawLine({ kind, line, values }, { width }, xs, scales) {
  const share = (kind === "line" ? 1 : ALPHA[kind]) * (line.is_diverged ? ALPHA.diverged : 1);
  const alpha = Number(share.toFixed(2));
  const dash = kind === "raw" ? [] : DASHES[line.dash ?? 0] ?? DASHES.at(-1);
  const dashes = dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : "";
  const path = listStretches(xs, values, scales).map((stretch) => `M${stretch.join("L")}`).join("");
  return `<path d="${path}" stroke="${paint(line.tone)}" stroke-opacity="${alpha}" stroke-width="${width}"${dashes}/>`;
}

/** An area between two columns; both break at the same places. */
function drawArea({ line, values }, lows, xs, scales) {
  const under = listStretches(xs, lows, scales);
  const path = listStretches(xs, values, scales)
    .map((stretch, place) => `M${[...stretch, ...(under[place] ?? []).reverse()].join("L")}Z`)
    .join("");
  return `<path d="${path}" fill="${paint(line.tone)}" fill-opacity="${ALPHA.area}"/>`;
}

function drawCurves({ plot, layers }, scales) {
  const [xs] = plot.data;
  return layers.map((layer, place) => {
    if (layer.kind === "low") return "";
    if (layer.kind === "high") return drawArea(layer, layers[place + 1].values, xs, scales);
    return drawLine(layer, plot.series[place + 1], xs, scales);
  });
}

/** Where something was not finite: a cross with a casing, on the bottom edge if nothing was finite. */
function drawCrosses({ marks, plot }, [x, y]) {
  const { min, max } = plot.scales.x;
  const inside = marks.filter((mark) => mark.x >= min && mark.x <= max);
  const path = inside
    .map((mark) => [x(mark.x), typeof mark.y === "number" ? Math.min(BOTTOM, Math.max(BOX.top, y(mark.y))) : BOTTOM - 6])
    .map(([left, top]) => [`M${round(left - CROSS)} ${round(top - CROSS)}l8 8`, `M${round(left + CROSS)} ${round(top - CROSS)}l-8 8`].join(""))
    .join("");
  if (!path) return [];
  return [[role("panel"), 5], [role("bad"), 2]].map(([colour, width]) => `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${width}"/>`);
}

function drawX(text, at) {
  const place = round(at);
  return [
    `<line x1="${place}" x2="${place}" y1="${BOX.top}" y2="${BOTTOM}" stroke="${role("grid")}"/>`,
    `<text x="${place}" y="${BOTTOM + 20}" text-anchor="middle" fill="${role("ink2")}">${escape(text)}</text>`,
  ].join("");
}

function drawY(text, at, right) {
  return [
    `<line x1="${BOX.left}" x2="${right}" y1="${round(at)}" y2="${round(at)}" stroke="${role("grid")}"/>`,
    `<text x="${BOX.left - 8}" y="${round(at + 5)}" text-anchor="end" fill="${role("ink2")}">${escape(text)}</text>`,
  ].join("");
}

function drawAxis(plot, index, scale, right) {
  const name = index === 0 ? "x" : "y";
  const { min, max, distr } = plot.scales[name];
  const inside = plot.axes[index].splits(plot, index, min, max).filter((value) => value >= min && value <= max);
  const texts = plot.axes[index].write?.(plot, inside) ?? formatTicks(inside, distr === LOG);
  return inside.map((value, place) => (index === 0 ? drawX : drawY)(texts[place], scale(value), right));
}

const shorten = (label) => (label.length > LETTERS ? `${label.slice(0, LETTERS - 1)}…` : label);

function measureLegend(lines) {
  if (lines.length < 2) return 0;
  const longest = Math.max(...lines.slice(0, MOST_NAMED).map(({ line }) => shorten(line.label).length));
  return LEGEND.sample + longest * LEGEND.letter;
}

function drawLegend(lines, left) {
  const named = lines.length > MOST_NAMED ? lines.slice(0, MOST_NAMED - 1) : lines;
  const rows = named.map(({ line }, place) => {
    const top = BOX.top + 10 + place * ROW;
    const dash = (DASHES[line.dash ?? 0] ?? DASHES.at(-1)).join(" ");
    const sample = `<line x1="${left}" x2="${left + 22}" y1="${top - 4}" y2="${top - 4}" stroke="${paint(line.tone)}" stroke-width="2.5" stroke-dasharray="${dash || "none"}"/>`;
    return `${sample}<text x="${left + 30}" y="${top}" font-size="${LEGEND.size}" fill="${role("ink2")}"><title>${escape(line.label)}</title>${escape(shorten(line.label))}</text>`;
  });
  if (named.length === lines.length) return rows;
  const top = BOX.top + 10 + named.length * ROW;
  return [...rows, `<text x="${left + 30}" y="${top}" font-size="${LEGEND.size}" fill="${role("ink2")}">and ${lines.length - named.length} more</text>`];
}

const nameAxis = (axis) => UNITS[axis] ?? axis.replace("metric:", "");

export function buildSvg(chart, title) {
  const { plot, payload, element } = chart;
  const lines = [...chart.exported].reverse();
  const right = WIDTH - BOX.right - measureLegend(lines);
  const scales = [makeScale(plot, "x", BOX.left, right), makeScale(plot, "y", BOTTOM, BOX.top)];
  const middle = (BOX.top + BOTTOM) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="Inter, &quot;Segoe UI&quot;, Roboto, &quot;Helvetica Neue&quot;, Arial, sans-serif" font-size="15">`,
    `<title>${escape(title)}</title><desc>${escape(location.href)}</desc>`,
    `<rect width="100%" height="100%" fill="${role("panel")}"/>`,
    `<text x="${BOX.left}" y="28" font-size="18" font-weight="600" fill="${role("ink")}">${escape(title)}</text>`,
    ...scales.flatMap((scale, index) => drawAxis(plot, index, scale, right)),
    `<clipPath id="box"><rect x="${BOX.left}" y="${BOX.top}" width="${right - BOX.left}" height="${BOTTOM - BOX.top}"/></clipPath>`,
    `<g clip-path="url(#box)" fill="none" stroke-linejoin="round">${drawCurves(chart, scales).join("")}</g>`,
    ...drawCrosses(chart, scales),
    `<polyline points="${BOX.left},${BOX.top} ${BOX.left},${BOTTOM} ${right},${BOTTOM}" fill="none" stroke="${role("ink3")}"/>`,
    `<text x="${(BOX.left + right) / 2}" y="${HEIGHT - 14}" text-anchor="middle" fill="${role("ink2")}">${escape(nameAxis(payload.x_axis))}</text>`,
    `<text transform="translate(22 ${middle}) rotate(-90)" text-anchor="middle" fill="${role("ink2")}">${escape(shorten(element.dataset.metric))}</text>`,
    ...(lines.length > 1 ? drawLegend(lines, right + 18) : []),
    "</svg>",
  ].join("\n");
}
