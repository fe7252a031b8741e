/* A chart of curves as SVG: the same window, scales, colours and dashes as on the screen. */
import { readTokens } from "./theme.js";
import { formatTick } from "./ticks.js";

const WIDTH = 1200;
const HEIGHT = 630;
const BOX = { left: 70, top: 44, right: 24, bottom: 56 };
const [RIGHT, BOTTOM] = [WIDTH - BOX.right, HEIGHT - BOX.bottom];
const LOG = 3;
const MOST_NAMED = 12;
const ROW = 16;
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const escape = (text) => String(text).replaceAll(/[&<>"]/g, (sign) => ESCAPES[sign]);

/** Map a value of the plot's scale to the picture; uPlot knows log and symlog. */
function makeScale(plot, name, from, to) {
  const { min, max } = plot.scales[name];
  const [low, high] = [min, max].map((value) => plot.valToPos(value, name));
  return (value) => from + ((plot.valToPos(value, name) - low) / (high - low)) * (to - from);
}

function tracePath(xs, values, { min, max }, [x, y]) {
  const parts = [];
  let isDown = false;
  for (let place = 0; place < xs.length; place += 1) {
    const value = values[place];
    if (value === null) isDown = false;
    if (typeof value !== "number" || xs[place] < min || xs[place] > max) continue;
    parts.push(`${isDown ? "L" : "M"}${x(xs[place]).toFixed(1)} ${y(value).toFixed(1)}`);
    isDown = true;
  }
  return parts.join("");
}

function drawPath(plot, series, values, scales) {
  const stroke = typeof series.stroke === "function" ? series.stroke(plot) : series.stroke;
  const dash = series.dash?.length ? ` stroke-dasharray="${series.dash.join(" ")}"` : "";
  const path = tracePath(plot.data[0], values, plot.scales.x, scales);
  return `<path d="${path}" stroke="${stroke}" stroke-width="${series.width}"${dash}/>`;
}

function drawX(value, at, [ink, grid], isLog) {
  const place = at.toFixed(1);
  return [
    `<line x1="${place}" x2="${place}" y1="${BOX.top}" y2="${BOTTOM}" stroke="${grid}"/>`,
    `<text x="${place}" y="${BOTTOM + 18}" text-anchor="middle" fill="${ink}">${escape(formatTick(value, isLog))}</text>`,
  ].join("");
}

function drawY(value, at, [ink, grid], isLog) {
  const place = at.toFixed(1);
  return [
    `<line x1="${BOX.left}" x2="${RIGHT}" y1="${place}" y2="${place}" stroke="${grid}"/>`,
    `<text x="${BOX.left - 8}" y="${(at + 4).toFixed(1)}" text-anchor="end" fill="${ink}">${escape(formatTick(value, isLog))}</text>`,
  ].join("");
}

function drawAxis(plot, index, scale, colours) {
  const name = index === 0 ? "x" : "y";
  const { min, max, distr } = plot.scales[name];
  const inside = plot.axes[index].splits(plot, index, min, max).filter((value) => value >= min && value <= max);
  const draw = index === 0 ? drawX : drawY;
  return inside.map((value) => draw(value, scale(value), colours, distr === LOG));
}

function drawLegend(chart, ink) {
  const lines = [...chart.exported].reverse();
  if (lines.length < 2) return [];
  return lines.slice(0, MOST_NAMED).map(({ line }, place) => {
    const [left, top] = [RIGHT - 190, BOX.top + 14 + place * ROW];
    const swatch = `<rect x="${left}" y="${top - 6}" width="16" height="3" fill="${chart.colourOfLine(line)}"/>`;
    return `${swatch}<text x="${left + 22}" y="${top}" fill="${ink}">${escape(line.label)}</text>`;
  });
}

export function buildSvg(chart, title) {
  const { plot, payload } = chart;
  const [panel, ink, ink2, grid] = readTokens("panel", "ink", "ink2", "grid");
  const scales = [makeScale(plot, "x", BOX.left, RIGHT), makeScale(plot, "y", BOTTOM, BOX.top)];
  const paths = plot.series.slice(1).map((series, place) => drawPath(plot, series, plot.data[place + 1], scales));
  const axis = escape(payload.x_axis.replace("metric:", ""));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="Inter, Helvetica, Arial, sans-serif" font-size="13">`,
    `<title>${escape(title)}</title><desc>${escape(location.href)}</desc>`,
    `<rect width="100%" height="100%" fill="${panel}"/>`,
    `<text x="${BOX.left}" y="26" font-size="16" font-weight="600" fill="${ink}">${escape(title)}</text>`,
    ...scales.flatMap((scale, index) => drawAxis(plot, index, scale, [ink2, grid])),
    `<clipPath id="box"><rect x="${BOX.left}" y="${BOX.top}" width="${RIGHT - BOX.left}" height="${BOTTOM - BOX.top}"/></clipPath>`,
    `<g clip-path="url(#box)" fill="none" stroke-linejoin="round">${paths.join("")}</g>`,
    `<text x="${(BOX.left + RIGHT) / 2}" y="${HEIGHT - 14}" text-anchor="middle" fill="${ink2}">${axis}</text>`,
    ...drawLegend(chart, ink2),
    "</svg>",
  ].join("\n");
}
