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
const EXPORT_SIZE = { width: 1200, height: 630 };

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

/** Where the legend and the note beside it would meet, give the legend a line of its own. */
function makeHead(layout, data, width) {
  const notes = (layout.annotations ?? []).filter(({ yref, y }) => yref === "paper" && y === 1);
  const named = data.filter(({ showlegend }) => showlegend);
  if (!layout.showlegend || notes.length === 0) return;
  const letters = [...notes.map(({ text }) => text), ...named.map(({ name }) => name)].join("").length;
  const wanted = letters * LETTER_PX + named.length * LEGEND_MARK_PX;
  if (wanted > width - layout.margin.l - layout.margin.r) layout.margin.t += HEAD_LINE_PX;
}

export function buildPlot(figure, dark) {
  const { data, layout } = recolour(figure, dark);
  return { data, layout: themeLayout(layout, dark) };
}

export async function drawPlot(area, figure, dark) {
  const { data, layout } = buildPlot(figure, dark);
  makeRoom(layout, area.clientWidth);
  makeHead(layout, data, area.clientWidth);
  await plotly().react(area, data, { ...layout, height: undefined, autosize: true }, CONFIG);
  const { width, height } = area.querySelector(".main-svg").getBoundingClientRect();
  if (width !== area.clientWidth || height !== area.clientHeight) resizePlot(area);
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

/** A data URL of the figure at share size; always light unless `dark` is asked for. */
export function renderImage(figure, format, dark = false) {
  const { data, layout } = buildPlot(figure, dark);
  const titled = {
    ...layout,
    autosize: false,
    title: { text: figure.title, x: 0.02, font: { size: 17, color: roleColour("ink", dark) } },
    margin: { ...layout.margin, t: 52 },
  };
  return plotly().toImage({ data, layout: titled, config: CONFIG }, { format, ...EXPORT_SIZE });
}
