/* The curves of a run: charts mounted when they come into view, read together, kept live. */
import { Chart } from "./chart.js";
import { placeFlags } from "./chart_flags.js";
import { formatCount, formatNumber } from "./format.js";
import { get } from "./http.js";
import { MetricSearch } from "./metric_search.js";
import { countMarks } from "./payload.js";
import { isConcerned } from "./poll.js";
import { offerRetry } from "./retry.js";
import { readState, writeState } from "./state.js";

const ZOOM_PAUSE_MS = 150;
const SMOOTH_PAUSE_MS = 120;
const MARGIN_PX = "300px";

function readWindow(text) {
  const range = (text ?? []).map(Number);
  return range.length === 2 && range.every(Number.isFinite) && range[0] < range[1] ? range : null;
}

class Curves {
  constructor(element) {
    this.element = element;
    this.charts = new Map();
    this.due = new Set();
    this.order = 0;
    this.observer = new IntersectionObserver((entries) => this.onSeen(entries), {
      rootMargin: MARGIN_PX,
    });
    this.search = new MetricSearch(element);
    this.adopt();
    this.showSwitches();
    document.addEventListener("morphed", () => {
      this.adopt();
      this.search.show();
    });
    document.addEventListener("themechange", () => {
      for (const chart of this.charts.values()) chart.recolour();
    });
    document.addEventListener("revision", ({ detail }) => {
      if (isConcerned(element, detail.moved)) this.reload();
    });
    addEventListener("popstate", () => this.onView());
    element.addEventListener("click", (event) => this.onClick(event));
    element.addEventListener("change", ({ target }) => {
      if (target.matches("[data-x-axis]")) this.choose({ x: target.value || null, xr: null });
    });
    element.addEventListener("input", (event) => this.onSlide(event));
  }

  get view() {
    const { xs = "lin", ys = "lin", xr } = readState();
    return { xs, ys, window: readWindow(xr) };
  }

  /** What happened at which step, as the page says it. */
  get events() {
    return JSON.parse(this.element.querySelector("[data-marks]")?.dataset.marks || "[]");
  }

  adopt() {
    for (const figure of this.element.querySelectorAll("[data-metric]")) {
      if (this.charts.has(figure.dataset.metric)) continue;
      const chart = new Chart(figure, {
        onZoom: (range) => this.zoom(range, chart.payload.x_axis),
        onReset: () => this.zoom(null),
      });
      this.charts.set(figure.dataset.metric, chart);
      this.due.add(figure.dataset.metric);
      this.observer.observe(figure);
    }
  }

  onSeen(entries) {
    for (const { target, isIntersecting } of entries) {
      target.dataset.seen = String(isIntersecting);
    }
    this.load();
  }

  reload() {
    this.due = new Set(this.charts.keys());
    this.load();
  }

  /** Read the charts that are in view and not up to date, all in one request. */
  async load() {
    const metrics = [...this.due].filter(
      (metric) => this.charts.get(metric).element.dataset.seen === "true",
    );
    if (metrics.length === 0) return;
    for (const metric of metrics) this.due.delete(metric);
    this.order += 1;
    const { order } = this;
    try {
      const { body } = await get(this.buildUrl(metrics));
      for (const payload of body.charts) this.take(payload, order);
    } catch (error) {
      for (const metric of metrics) this.fail(metric, error);
    }
  }

  buildUrl(metrics) {
    const url = new URL(this.element.dataset.src, location.origin);
    for (const metric of metrics) url.searchParams.append("m", metric);
    const { xs, ys, window } = this.view;
    if (xs !== "lin") url.searchParams.set("xs", xs);
    if (ys !== "lin") url.searchParams.set("ys", ys);
    if (window) url.searchParams.set("xr", window.join(","));
    const state = readState();
    for (const key of ["old", "x", "sm"]) if (state[key]) url.searchParams.set(key, state[key]);
    const steps = new Set(this.events.map(({ step }) => step));
    if (steps.size) url.searchParams.set("at", [...steps].join(","));
    return url.pathname + url.search;
  }

  take(payload, order) {
    const chart = this.charts.get(payload.metric);
    if (!chart || (chart.order ?? 0) > order) return;
    chart.order = order;
    chart.element.dataset.rev = payload.rev ?? "";
    chart.element.dataset.n = payload.points_total;
    chart.element.dataset.drawn = payload.points_sent;
    const [series] = Object.values(payload.series);
    const isEmpty = payload.points_total === 0;
    chart.flags = placeFlags(this.events, payload);
    if (!isEmpty) chart.draw(payload, this.view);
    this.describe(chart, payload, series);
    chart.element.dataset.state = isEmpty ? "empty" : "ready";
  }

  describe({ element }, payload, series) {
    const foot = element.querySelector(".foot");
    const isThinned = payload.method !== "raw";
    const where = this.view.window ? " in view" : "";
    const total = `${formatCount(payload.points_total)} points${where}`;
    const parts = [
      [isThinned ? `${total} → ${formatCount(payload.points_sent)} (M4)` : total, ""],
    ];
    for (const [kind, count] of series ? countMarks(series) : []) {
      parts.push([`${formatCount(count)} × ${kind}`, "badge bad"]);
    }
    if (payload.x_axis.startsWith("metric:")) parts.unshift([`over ${payload.x_axis.slice(7)}`, ""]);
    if (!series) parts.splice(0, 2, [`no ${payload.x_axis.replace("metric:", "")} for this metric`, ""]);
    if (payload.x_nonpositive) {
      parts.push([`${formatCount(payload.x_nonpositive)} at x ≤ 0, not drawn`, "badge"]);
    }
    if (series?.nonpositive) parts.push([`${formatCount(series.nonpositive)} at ≤ 0`, "badge"]);
    if (series?.overwritten) parts.push([`${formatCount(series.overwritten)} overwritten`, "badge"]);
    if (series?.superseded) parts.push([`${formatCount(series.superseded)} superseded`, "badge plain"]);
    foot.replaceChildren(
      ...parts.map(([text, className]) => {
        const part = document.createElement("span");
        part.className = className;
        part.textContent = text;
        return part;
      }),
    );
    const latest = element.querySelector(".latest");
    if (latest && series?.last !== undefined) latest.textContent = formatNumber(series.last);
  }

  fail(metric, error) {
    this.due.add(metric);
    const { element } = this.charts.get(metric);
    element.dataset.state = "error";
    offerRetry(element.querySelector(".foot"), error);
  }

  /** All charts show the window; where they have different axes, they take the one it is in. */
  zoom(range, axis) {
    const axes = new Set([...this.charts.values()].flatMap(({ payload }) => payload?.x_axis ?? []));
    writeState({
      xr: range?.map((value) => Number(value.toPrecision(7))) ?? null,
      ...(range && axes.size > 1 ? { x: axis } : {}),
    });
    this.onView();
  }

  onView() {
    this.showSwitches();
    for (const chart of this.charts.values()) chart.zoomTo(this.view.window);
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.reload(), ZOOM_PAUSE_MS);
  }

  onSlide({ target }) {
    if (target.name !== "sm") return;
    this.element.querySelector("[data-smoothing]").textContent = target.value;
    clearTimeout(this.slide);
    this.slide = setTimeout(() => {
      writeState({ sm: Number(target.value) ? target.value : null });
      this.reload();
    }, SMOOTH_PAUSE_MS);
  }

  async export(chart, kind) {
    const { exportChart } = await import("./explore_export.js");
    exportChart(chart, kind);
  }

  onClick({ target }) {
    if (target.matches(".u-over")) this.charts.get(target.closest("figure").dataset.metric).pick();
    const save = target.closest("[data-export-curves]");
    if (save) this.export(this.charts.get(save.closest("figure").dataset.metric), save.dataset.exportCurves);
    if (target.closest("[data-retry]")) this.load();
    const button = target.closest("button[data-set]");
    if (!button) return;
    const isSet = String(readState()[button.dataset.set] ?? "") === button.value;
    const isCycle = button.matches("[data-log-y], [data-set=old]");
    this.choose({ [button.dataset.set]: isCycle && isSet ? null : button.value || null });
  }

  choose(changes) {
    writeState(changes, { push: true });
    this.showSwitches();
    this.reload();
  }

  showSwitches() {
    const state = readState();
    const axes = this.element.querySelector("[data-x-axis]");
    if (axes) axes.value = [...axes.options].some(({ value }) => value === state.x) ? state.x : "";
    const slider = this.element.querySelector("[name=sm]");
    if (document.activeElement !== slider) slider.value = state.sm ?? 0;
    this.element.querySelector("[data-smoothing]").textContent = slider.value;
    this.search.show();
    for (const button of this.element.querySelectorAll("button[data-set]")) {
      const chosen = state[button.dataset.set] ?? "";
      const isPressed = button.dataset.set !== "xr" && button.value === String(chosen);
      button.setAttribute("aria-pressed", String(isPressed));
      if (button.dataset.set === "xr") button.hidden = !state.xr;
    }
  }
}

export function mount(root) {
  for (const element of root.querySelectorAll("[data-curves]")) new Curves(element);
}
