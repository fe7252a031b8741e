/* The one place that speaks to Plotly: safe configuration, theme, zoom that survives redraws. */
import { roleColour } from "./palette.js";
import { recolour } from "./recolour.js";

const CONFIG = {
  displaylogo: false,
  showSendToCloud: false,
  plotlyServerURL: "",
  responsive: true,
  modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
};
const FAMILY = 'Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const LETTER_PX = 6.6;
const LABEL_PAD_PX = 6;
const MOST_SHARE = 0.4;
const LEGEND_MARK_PX = 46;
const HEAD_LINE_PX = 17;
const STACKED_BELOW_PX = 560;
const PANEL_PX = 210;
const PANEL_GAP = 0.16;
const PANEL_TITLE = 0.08;
const SHEET = { width: 800, height: 420 }; // as wide as two columns of a page; type reads when halved
const EXPORT_WIDTH = 1200;
const TITLE_PX = 38;
const LEGEND_ROW_PX = 19;

const plotly = () => globalThis.Plotly;

function themeAxis(axis, dark) {
  const grid = roleColour("grid", dark);
  return {
    gridcolor: grid,
    linecolor: roleColour("line", dark),
    zeroline: false,
    automargin: false,
    ...axis,
    title: { standoff: 8, ...axis.title, font: { size: 12, color: roleColour("ink2", dark) } },
    tickfont: { size: 11.5, color: roleColour("ink2", dark), ...axis.tickfont },
  };
}

function themeLayout(layout, dark) {
  const themed = {
    paper_bgcolor: roleColour("panel", dark),
    plot_bgcolor: roleColour("panel", dark),
    hovermode: "closest",
    showlegend: false,
    dragmode: "zoom",
    margin: { l: 52, r: 14, t: 8, b: 44 },
    ...layout,
    font: { family: FAMILY, size: 12, color: roleColour("ink2", dark), ...layout.font },
    hoverlabel: {
      align: "left",
      bgcolor: roleColour("panel", dark),
      bordercolor: roleColour("line", dark),
      ...layout.hoverlabel,
      font: { family: FAMILY, size: 12, color: roleColour("ink", dark) },
    },
    modebar: {
      bgcolor: "rgba(0,0,0,0)",
      color: roleColour("ink3", dark),
      activecolor: roleColour("accent", dark),
    },
  };
  for (const key of Object.keys(themed)) {
    if (/^[xy]axis\d*$/.test(key)) themed[key] = themeAxis(themed[key], dark);
  }
  return themed;
}

/** On a narrow screen, widen the x axis so that the labels beside the lines clear its ends. */
function makeRoom(layout, width) {
  const [low, high] = layout.xaxis?.range ?? [];
  if (high === undefined) return;
  const room = width - layout.margin.l - layout.margin.r;
  const notes = (layout.annotations ?? []).filter((note) => note.showarrow && note.ax);
  const share = (labels) =>
    Math.max(...labels.map(({ ax, text }) => text.length * LETTER_PX + Math.abs(ax) + LABEL_PAD_PX)) / room;
  const left = notes.filter(({ ax }) => ax < 0);
  const right = notes.filter(({ ax }) => ax > 0);
  if (left.length > 0) {
    const first = Math.min(...left.map(({ x }) => x));
    const wanted = share(left);
    if ((first - low) / (high - low) < wanted && wanted <= MOST_SHARE) {
      layout.xaxis.range = [(first - wanted * high) / (1 - wanted), high];
    }
  }
  if (right.length > 0) {
    const last = Math.max(...right.map(({ x }) => x));
    const wanted = share(right);
    if ((high - last) / (high - low) < wanted && wanted <= MOST_SHARE) {
      layout.xaxis.range = [layout.xaxis.range[0], (last - wanted * low) / (1 - wanted)];
    }
  }
}

/** Leave out tick texts that would touch the one before; the ticks stay. */
function thinTicks(axis, width) {
  const [low, high] = axis.range ?? [];
  if (high === undefined || !axis.ticktext) return;
  const [start, end] = axis.domain ?? [0, 1];
  const place = (value) => (axis.type === "log" ? Math.log10(value) : value);
  const scale = (width * (end - start)) / (high - low);
  let free = -Infinity;
  axis.tickangle = 0;
  axis.ticktext = axis.ticktext.map((text, index) => {
    const middle = (place(axis.tickvals[index]) - low) * scale;
    const half = (text.length * LETTER_PX + LABEL_PAD_PX) / 2;
    if (middle - half < free) return "";
    free = middle + half;
    return text;
  });
}

const measureLegend = (named) =>
  named.map(({ name }) => name).join("").length * LETTER_PX + named.length * LEGEND_MARK_PX;

/** Where the legend and the note beside it would meet, give the legend a line of its own; where a
    figure keeps rows for a legend that breaks on a telephone, give back those that it does not need. */
function makeHead(layout, data, width) {
  const notes = (layout.annotations ?? []).filter(({ yref, y }) => yref === "paper" && y === 1);
  const named = data.filter(({ showlegend }) => showlegend);
  const room = width - layout.margin.l - layout.margin.r;
  const kept = layout.meta?.legend_rows ?? 0;
  if (kept) layout.margin.t -= Math.max(0, kept - Math.ceil(measureLegend(named) / room)) * LEGEND_ROW_PX;
  if (!layout.showlegend || notes.length === 0 || kept) return;
  const wanted = notes.map(({ text }) => text).join("").length * LETTER_PX + measureLegend(named);
  if (wanted > room) layout.margin.t += HEAD_LINE_PX;
}

/** On a narrow screen, put panels that share their axes below each other. */
function stackPanels(layout, area) {
  const { panels = 1, rows = 1 } = layout.meta ?? {};
  const isStacked = panels > 1 && area.clientWidth < STACKED_BELOW_PX;
  const height = isStacked ? panels * PANEL_PX : rows > 2 && rows * PANEL_PX;
  area.parentElement.style.minHeight = height ? `${height}px` : "";
  if (!isStacked) return;
  layout.showlegend = false;
  layout.margin = { ...layout.margin, t: 8 };
  for (let place = 0; place < panels; place += 1) {
    const end = place === 0 ? "" : place + 1;
    const top = 1 - place / panels;
    const shown = { showticklabels: true };
    layout[`xaxis${end}`] = { ...layout[`xaxis${end}`], ...shown, domain: [0, 1] };
    const domain = [top - (1 - PANEL_GAP) / panels, top - PANEL_TITLE / panels];
    layout[`yaxis${end}`] = { ...layout[`yaxis${end}`], ...shown, domain };
  }
}

export function buildPlot(figure, dark) {
  const { data, layout } = recolour(figure, dark);
  return { data, layout: themeLayout(layout, dark) };
}

/** Fit labels, head and ticks to a width. */
function fitLayout(layout, data, width) {
  makeRoom(layout, width);
  makeHead(layout, data, width);
  thinAxes(layout, width);
}

function thinAxes(layout, width) {
  const room = width - layout.margin.l - layout.margin.r;
  for (const key of Object.keys(layout)) {
    if (/^xaxis\d*$/.test(key)) thinTicks(layout[key], room);
  }
}

/** Draw into an area, or, with `size`, for a sheet of paper whatever the window. */
export async function drawPlot(area, figure, dark, size = null) {
  const { data, layout } = buildPlot(figure, dark);
  if (!size) stackPanels(layout, area);
  fitLayout(layout, data, size?.width ?? area.clientWidth);
  const fitted = size ? { ...size, autosize: false } : { height: undefined, autosize: true };
  await plotly().react(area, data, { ...layout, ...fitted }, CONFIG);
  const drawn = area.querySelector(".main-svg").getBoundingClientRect();
  const isFitting = drawn.width === area.clientWidth && drawn.height === area.clientHeight;
  if (!size && !isFitting) resizePlot(area);
}

export function onMarkClick(area, listener) {
  area.on("plotly_click", ({ points }) => {
    const [point] = points;
    if (point) listener(point);
  });
}

export function resizePlot(area) {
  if (area.isConnected && area.clientWidth > 0) plotly().Plots.resize(area);
}

/** A data URL of the figure for paper: larger type, its title above, and its legend with it. */
export function renderImage(figure, format, dark = false) {
  const { data, layout } = buildPlot(figure, dark);
  const sheet = makeSheet(layout, data, figure.title, dark);
  makeRoom(sheet, SHEET.width);
  thinAxes(sheet, SHEET.width);
  const { width, height } = sheet;
  const options = { format, width, height, scale: EXPORT_WIDTH / width };
  return plotly().toImage({ data, layout: sheet, config: CONFIG }, options);
}

function makeSheet(layout, data, title, dark) {
  const named = data.filter(({ showlegend }) => showlegend);
  const hasLegend = named.length > 1;
  const hasNotes = (layout.annotations ?? []).some(({ yref, y }) => yref === "paper" && y === 1);
  const room = SHEET.width - layout.margin.l - layout.margin.r;
  const rows = hasLegend ? Math.ceil(measureLegend(named) / room) : 0;
  const height = Math.max(SHEET.height, (layout.meta?.rows ?? 1) * PANEL_PX);
  const head = TITLE_PX + LEGEND_ROW_PX * rows + (hasNotes ? HEAD_LINE_PX : 0);
  return {
    ...layout,
    autosize: false,
    width: SHEET.width,
    height,
    showlegend: hasLegend,
    title: {
      text: title, x: 0.015, xanchor: "left", yref: "container", y: 1, yanchor: "top", pad: { t: 12 },
      font: { size: 16, color: roleColour("ink", dark) },
    },
    legend: { ...layout.legend, x: 0, xanchor: "left", yref: "container", y: 1 - TITLE_PX / height },
    margin: { ...layout.margin, t: head + LABEL_PAD_PX, r: Math.max(layout.margin.r, 20) },
  };
}
