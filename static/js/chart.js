/* One chart of curves: the one place that speaks to uPlot. */
import { drawMarks } from "./chart_marks.js";
import { ChartTip } from "./chart_tip.js";
import { drawFlags } from "./chart_flags.js";
import { DASHES } from "./overlay.js";
import { colourOf, roleColour, withAlpha } from "./palette.js";
import { buildMarks, buildSmooth, buildX, buildY } from "./payload.js";
import { isDark, readTokens } from "./theme.js";
import { formatTicks, linearSplits, logSplits } from "./ticks.js";

const FONT = '11.5px Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const LINEAR = 1;
const LOG = 3;
const SYMLOG = 4;
const DISTRIBUTIONS = { log: LOG, sym: SYMLOG };
const DOTS_UP_TO = 40;
const X_TICK_PX = 80;
const Y_TICK_PX = 40;
const SUPERSEDED = 2; // its dash
const RAW_ALPHA = 0.2; // behind smooth

function padLinear(chart, low, high) {
  if (low === null || high === null) return [0, 1];
  if (low === high) return [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const pad = (high - low) * 0.06;
  return [low - pad, high + pad];
}

function padLog(chart, low, high) {
  if (!(low > 0) || !(high > 0)) return [0.1, 1];
  const pad = Math.max(Math.log10(high / low) * 0.06, 0.02);
  return [low / 10 ** pad, high * 10 ** pad];
}

function buildAxis(owner, side, isLog) {
  return {
    stroke: () => owner.colours[0],
    font: FONT,
    size: side === "x" ? 22 : 48,
    gap: 4,
    grid: { stroke: () => owner.colours[1], width: 1 },
    ticks: { show: false },
    splits: (chart, axis, low, high) => {
      const length = side === "x" ? chart.bbox.width / X_TICK_PX : chart.bbox.height / Y_TICK_PX;
      const count = Math.max(2, Math.floor(length / devicePixelRatio));
      return isLog ? logSplits(low, high, count) : linearSplits(low, high, count);
    },
    filter: (chart, splits) => splits,
    values: (chart, splits) => formatTicks(splits, isLog),
  };
}

export class Chart {
  constructor(element, listeners) {
    this.element = element;
    this.place = element.querySelector(".plot");
    this.listeners = listeners;
    this.shape = "";
    this.payload = null;
    this.flags = []; // what happened at a step: {x, tone, text}
    new ResizeObserver(() => this.resize()).observe(this.place);
  }

  /** Draw a payload; the same shape of chart is only given new data, so the zoom stays. */
  draw(payload, view) {
    if (payload !== this.payload) this.prepared = this.prepare(payload);
    this.payload = payload;
    this.view = view;
    const { data, kind } = this.prepared;
    const shape = JSON.stringify([view.xs, view.ys, kind]);
    if (shape !== this.shape) this.build(data, shape);
    else this.plot.setData(data, false);
    this.applyWindow();
  }

  /** Another theme: the same paths in other colours. */
  recolour() {
    if (!this.plot) return;
    this.readColours();
    for (const point of this.plot.over.querySelectorAll(".u-cursor-pt")) point.style.background = this.colours[2];
    this.plot.redraw(false);
  }

  readColours() {
    this.colours = readTokens("ink2", "grid", "accent", "bad", "panel", "warn");
  }

  /** Return the columns, and what must be equal for a chart to take them without being rebuilt. */
  prepare(payload) {
    this.lines = Object.entries(payload.series).map(([key, series], index) => ({
      line: this.describeLine(key, index),
      series,
    }));
    this.series = this.lines.map(({ series }) => series);
    this.marks = this.series.flatMap((series) => buildMarks(payload, series));
    this.layers = this.lines.flatMap(({ line, series }) => {
      const values = buildY(payload, series);
      const smooth = series.smooth && { kind: "line", line, values: buildSmooth(payload, series) };
      return smooth ? [{ kind: "raw", line, values }, smooth] : [{ kind: "line", line, values }];
    });
    const data = [buildX(payload), ...this.layers.map(({ values }) => values)];
    return { data, kind: [payload.x_axis, ...this.layers.map(({ kind }) => kind)] };
  }

  /** The first curve is the run's; what later attempts replaced is dotted and pale. */
  describeLine(key, index) {
    if (index === 0) return { label: this.element.dataset.metric, tone: { role: "accent" }, dash: 0 };
    return { label: key.slice(key.lastIndexOf("/") + 1), tone: { role: "ink2" }, dash: SUPERSEDED };
  }

  build(data, shape) {
    this.plot?.destroy();
    this.shape = shape;
    this.readColours();
    this.plot = new globalThis.uPlot(this.buildOptions(data), data, this.place);
    this.plot.root.setAttribute("role", "img");
    this.plot.root.setAttribute("aria-label", `Curve of ${this.element.dataset.metric}`);
    this.onBuilt();
  }

  /** The curves as files name them, from the back to the front. */
  get exported() {
    return [...this.lines].reverse();
  }

  colourOfLine({ tone }) {
    return colourOf(tone, isDark()) ?? roleColour("accent", isDark());
  }

  onBuilt() {
    this.tip = new ChartTip(this);
  }

  buildOptions(data) {
    const { xs, ys } = this.view;
    const yScale = DISTRIBUTIONS[ys] ?? LINEAR;
    return {
      width: this.place.clientWidth,
      height: this.place.clientHeight,
      padding: [6, 18, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: true, y: false, setScale: false },
        sync: { key: `run ${this.payload.x_axis}` },
        points: { size: 7, fill: () => this.colours[2] },
        bind: { dblclick: () => () => this.listeners.onReset() },
      },
      scales: {
        x: { time: false, distr: xs === "log" ? LOG : LINEAR, range: (chart, low, high) => [low, high] },
        y: { distr: yScale, range: (chart, low, high) => this.padY(chart, low, high) },
      },
      axes: [buildAxis(this, "x", xs === "log"), buildAxis(this, "y", yScale === LOG)],
      series: [{}, ...this.layers.map((layer, index) => this.buildLayer(layer, index))],
      hooks: {
        setSelect: [(chart) => this.onSelect(chart)],
        setCursor: [() => this.tip?.show()],
        draw: [
          (chart) => drawFlags(chart, this.flags),
          (chart) => drawMarks(chart, this.marks, this.series, this.colours),
        ],
      },
    };
  }

  /** The range of y with some air above and below. */
  padY(chart, low, high) {
    const pad = this.view.ys === "log" ? padLog : padLinear;
    return pad(chart, ...this.rangeOfY(low, high));
  }

  rangeOfY(low, high) {
    return [low, high];
  }

  buildLayer({ kind, line, values }) {
    const known = values.filter((value) => typeof value === "number").length;
    if (kind === "raw") return { stroke: () => withAlpha(this.colourOfLine(line), RAW_ALPHA), width: 1, points: { show: false } };
    return {
      stroke: () => this.colourOfLine(line),
      dash: DASHES[line.dash],
      width: line.dash ? 1 : 1.5,
      pxAlign: 0, // a flat curve is no staircase of whole pixels
      spanGaps: false,
      points: { show: known <= DOTS_UP_TO, size: 4, fill: () => this.colours[2], width: 0 },
    };
  }

  /** Tell the page which step was clicked. */
  pick() {
    const { payload, plot } = this;
    const { idx, left } = plot.cursor;
    if (payload.x_axis !== "step" || idx === null || left < 0) return;
    const step = payload.method === "raw" ? payload.x[idx] : Math.round(plot.posToVal(left, "x"));
    this.element.dispatchEvent(new CustomEvent("pointpicked", { bubbles: true, detail: { step, left } }));
  }

  onSelect(chart) {
    const { left, width } = chart.select;
    if (width < 4) return;
    const range = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.listeners.onZoom(range);
  }

  /** Where the points begin and end; null where there are none. */
  get extent() {
    const x = this.plot.data[0];
    return x.length ? [x[0], x.at(-1)] : null;
  }

  /** Show the window of the view, or everything. */
  applyWindow() {
    const shown = this.view.window ?? this.extent;
    if (!shown) return;
    const [low, high] = shown;
    const isOne = low === high;
    this.element.dataset.window = `${low},${high}`;
    this.plot.setScale("x", { min: isOne ? low - 1 : low, max: isOne ? high + 1 : high });
  }

  zoomTo(window) {
    this.view = { ...this.view, window };
    if (this.plot) this.applyWindow();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.place;
    if (this.plot && width > 0) this.plot.setSize({ width, height });
  }
}
