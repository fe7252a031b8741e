/* One chart of curves: the one place that speaks to uPlot. */
import { drawMarks } from "./chart_marks.js";
import { ChartTip } from "./chart_tip.js";
import { drawFlags } from "./chart_flags.js";
import { buildMarks, buildX, buildY } from "./payload.js";
import { isDark, readTokens } from "./theme.js";
import { formatTick, linearSplits, logSplits } from "./ticks.js";

const FONT = '11.5px Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const LINEAR = 1;
const LOG = 3;
const SYMLOG = 4;
const DISTRIBUTIONS = { log: LOG, sym: SYMLOG };
const DOTS_UP_TO = 40;
const X_TICK_PX = 80;
const Y_TICK_PX = 40;
const SUPERSEDED_DASH = [2, 3];

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

function buildAxis(side, isLog, [ink2, grid]) {
  return {
    stroke: ink2,
    font: FONT,
    size: side === "x" ? 22 : 48,
    gap: 4,
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
    splits: (chart, axis, low, high) => {
      const length = side === "x" ? chart.bbox.width / X_TICK_PX : chart.bbox.height / Y_TICK_PX;
      const count = Math.max(2, Math.floor(length / devicePixelRatio));
      return isLog ? logSplits(low, high, count) : linearSplits(low, high, count);
    },
    filter: (chart, splits) => splits,
    values: (chart, splits) => splits.map((value) => formatTick(value, isLog)),
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
    this.payload = payload;
    this.view = view;
    const { data, kind } = this.prepare(payload);
    const shape = JSON.stringify([view.xs, view.ys, isDark(), kind]);
    if (shape !== this.shape) this.build(data, shape);
    else this.plot.setData(data, false);
    this.applyWindow();
  }

  /** Return the columns, and what must be equal for a chart to take them without being rebuilt. */
  prepare(payload) {
    this.series = Object.values(payload.series);
    this.marks = this.series.flatMap((series) => buildMarks(payload, series));
    const columns = this.series.map((series) => buildY(payload, series));
    return { data: [buildX(payload), ...columns], kind: this.series.length };
  }

  build(data, shape) {
    this.plot?.destroy();
    this.shape = shape;
    this.colours = readTokens("ink2", "grid", "accent", "bad", "panel", "warn");
    this.plot = new globalThis.uPlot(this.buildOptions(data), data, this.place);
    this.plot.root.setAttribute("role", "img");
    this.plot.root.setAttribute("aria-label", `Curve of ${this.element.dataset.metric}`);
    this.onBuilt();
  }

  /** The curves as files name them, from the back to the front. */
  get exported() {
    const named = Object.entries(this.payload.series).map(([key, series], index) => {
      const label = index ? key.slice(key.lastIndexOf("/") + 1) : this.element.dataset.metric;
      return { line: { label, index }, series };
    });
    return named.reverse();
  }

  colourOfLine({ index }) {
    return this.colours[index > 0 ? 0 : 2];
  }

  onBuilt() {
    this.tip = new ChartTip(this);
  }

  buildOptions(data) {
    const { xs, ys } = this.view;
    const [ink2, grid, accent] = this.colours;
    const yScale = DISTRIBUTIONS[ys] ?? LINEAR;
    return {
      width: this.place.clientWidth,
      height: this.place.clientHeight,
      padding: [6, 18, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: true, y: false, setScale: false },
        sync: { key: "run" },
        points: { size: 7, fill: accent },
        bind: { dblclick: () => () => this.listeners.onReset() },
      },
      scales: {
        x: { time: false, distr: xs === "log" ? LOG : LINEAR, range: (chart, low, high) => [low, high] },
        y: { distr: yScale, range: (chart, low, high) => this.padY(chart, low, high) },
      },
      axes: [buildAxis("x", xs === "log", [ink2, grid]), buildAxis("y", yScale === LOG, [ink2, grid])],
      series: [{}, ...this.series.map((series, index) => this.buildSeries(data[index + 1], index))],
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

  /** The first curve is the run's; what later attempts replaced is dotted and pale. */
  buildSeries(values, index) {
    const known = values.filter((value) => typeof value === "number").length;
    return {
      stroke: this.colours[index > 0 ? 0 : 2],
      dash: index > 0 ? SUPERSEDED_DASH : [],
      width: index > 0 ? 1 : 1.5,
      spanGaps: false,
      points: { show: known <= DOTS_UP_TO, size: 4, fill: this.colours[2], width: 0 },
    };
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
