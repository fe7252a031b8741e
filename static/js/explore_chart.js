/* A chart of many curves: raw behind smooth, areas, one curve lifted above the dimmed others. */
import { Chart } from "./chart.js";
import { drawMarks } from "./chart_marks.js";
import { CurveFinder } from "./curve_finder.js";
import { ExploreTip } from "./explore_tip.js";
import { DASHES, Overlay } from "./overlay.js";
import { withAlpha } from "./palette.js";
import { buildMarks, buildSmooth, buildX, buildY } from "./payload.js";
import { isDark } from "./theme.js";

const DOTS_UP_TO = 2;
const RAW_ALPHA = 0.2;
const DIVERGED_ALPHA = 0.35;
const FEWER_ALPHA = 0.5;
const BAND_ALPHA = { light: 0.16, dark: 0.22 };
const MANY_SMOOTH = 300; // curves, above which lines are thinner
const MANY_RAW = 25; // raw curves, above which lines are 1 px: a browser draws 100 of them in a quarter of the time
const CLICK_PX = 4;

export class ExploreChart extends Chart {
  prepare(payload) {
    const x = buildX(payload);
    this.lines = payload.lines.map((line) => this.buildLine(line, payload)).reverse();
    this.lines.sort((a, b) => Number(b.line.is_diverged) - Number(a.line.is_diverged));
    this.series = this.lines.map(({ series }) => series);
    this.marks = this.lines.flatMap(({ series }) => buildMarks(payload, series));
    this.finder = new CurveFinder(x, this.lines);
    this.layers = this.stack();
    const kind = [payload.x_axis, ...this.layers.map(({ kind: name, line }) => [name, line.key, line.tone, line.dash])];
    return { data: [x, ...this.layers.map(({ values }) => values)], kind };
  }

  /** Whether the payload can be drawn on these scales as it is: nothing to hide at or below zero,
      and no buckets on another x axis. */
  serves({ xs, ys }) {
    if (!this.payload?.lines || this.plot === undefined) return false;
    const isSameX = xs === this.payload.x_scale || (this.payload.method === "raw" && this.finder.extent?.[0] > 0);
    const hides = Object.values(this.payload.series).some(({ nonpositive }) => nonpositive > 0);
    return isSameX && !hides && !this.payload.x_nonpositive && (ys !== "log" || this.finder.yRange?.[0] > 0);
  }

  buildLine(line, payload) {
    const series = payload.series[line.key];
    const raw = buildY(payload, series);
    const band = payload.bands?.[line.key];
    const smooth = series.smooth ? buildSmooth(payload, series) : null;
    const area = band && [band.high, band.low].map((y) => buildY(payload, { y, breaks: series.breaks }));
    const main = smooth ?? raw;
    const found = payload.fewer?.[line.key];
    const fewer = found?.some((value) => value !== null) ? buildY(payload, { y: found }) : null;
    const values = fewer ? main.map((value, place) => value ?? fewer[place]) : main;
    return { line, series, raw, smooth, area, main, fewer, values };
  }

  /** Layers from the back to the front: raw, areas, lines; what diverged lies under the others, and
      an average of a part of its runs under the one of all. */
  stack() {
    const layers = [];
    for (const { line, raw, smooth } of this.lines) {
      if (smooth) layers.push({ kind: "raw", line, values: raw });
    }
    for (const { line, area } of this.lines) {
      if (!area) continue;
      layers.push({ kind: "high", line, values: area[0] }, { kind: "low", line, values: area[1] });
    }
    for (const { line, fewer } of this.lines) {
      if (fewer) layers.push({ kind: "fewer", line, values: fewer });
    }
    for (const { line, main } of this.lines) layers.push({ kind: "line", line, values: main });
    return layers;
  }

  get exported() {
    return this.lines;
  }

  buildOptions(data) {
    const options = super.buildOptions(data);
    const highs = this.layers.flatMap(({ kind }, place) => (kind === "high" ? [place] : []));
    return {
      ...options,
      cursor: { ...options.cursor, sync: { key: `explore ${this.payload.x_axis}` }, points: { show: false } },
      bands: highs.map((place) => ({
        series: [place + 1, place + 2],
        fill: () => this.paintArea(this.layers[place].line),
      })),
      hooks: {
        ...options.hooks,
        setCursor: [() => this.onCursor()],
        draw: [(chart) => drawMarks(chart, this.marks, this.series, this.colours)],
        setScale: [() => this.overlay?.draw()],
        setSize: [() => this.overlay?.draw()],
      },
    };
  }

  paintArea(line) {
    return withAlpha(this.colourOfLine(line), isDark() ? BAND_ALPHA.dark : BAND_ALPHA.light);
  }

  recolour() {
    super.recolour();
    this.overlay?.draw();
  }

  buildLayer({ kind, line, values }) {
    const paint = (share) => () => withAlpha(this.colourOfLine(line), share);
    const isMany = this.lines.length > (this.lines[0].smooth ? MANY_SMOOTH : MANY_RAW);
    const alpha = line.is_diverged ? DIVERGED_ALPHA : 1;
    const plain = { spanGaps: false, points: { show: false } };
    if (kind === "high" || kind === "low") return { ...plain, stroke: "transparent", width: 0 };
    if (kind === "raw") return { ...plain, stroke: paint(RAW_ALPHA * alpha), width: 1 };
    if (kind === "fewer") return { ...plain, stroke: paint(FEWER_ALPHA * alpha), width: 1 };
    const known = values.filter((value) => typeof value === "number").length;
    return {
      ...plain,
      stroke: paint(alpha),
      width: isMany ? 1 : 1.5,
      pxAlign: isMany ? 1 : 0, // a flat curve is no staircase of whole pixels
      dash: DASHES[line.dash] ?? DASHES.at(-1),
      points: { show: known <= DOTS_UP_TO, size: 5, fill: paint(1), width: 0 },
    };
  }

  onBuilt() {
    this.overlay = new Overlay(this);
    this.tip = new ExploreTip(this);
    const { over } = this.plot;
    over.addEventListener("pointerenter", () => { this.isPointed = true; });
    over.addEventListener("pointerleave", () => this.leave());
    over.addEventListener("pointerdown", ({ clientX }) => { this.pressedAt = clientX; });
    over.addEventListener("click", ({ clientX }) => {
      if (Math.abs(clientX - this.pressedAt) < CLICK_PX) this.listeners.onPick(this.nearest?.line.key ?? null);
    });
    this.plot.root.setAttribute("aria-label", `${this.lines.length} curves of ${this.element.dataset.metric}`);
  }

  leave() {
    this.isPointed = false;
    this.nearest = null;
    this.tip.hide();
    this.listeners.onHover(null);
  }

  onCursor() {
    if (!this.isPointed || !this.tip) return;
    const { left, top } = this.plot.cursor;
    if (left < 0) return;
    this.nearest = this.finder.findNearest(this.plot, left, top);
    this.listeners.onHover(this.nearest?.line.key ?? null);
    this.tip.show(left, top);
  }

  /** Lift the curves that a test names above the others, which are dimmed; none puts all back. */
  highlight(test) {
    if (!this.plot) return;
    this.lifted = this.lines.filter(({ line }) => test(line));
    this.overlay.draw();
  }

  get extent() {
    return this.shared?.x ?? this.finder.extent;
  }

  /** Facets of a metric share their axes. */
  share(ranges) {
    this.shared = ranges;
  }

  rangeOfY(low, high) {
    return this.shared?.y ?? [low, high];
  }
}
