/* The curves explorer: its charts follow the address, read what they show, and stay live. */
import { ExploreChart } from "./explore_chart.js";
import { describeChart } from "./explore_foot.js";
import { ExploreForm } from "./explore_form.js";
import { describeHeld, joinHeld } from "./held.js";
import { get } from "./http.js";
import { RowLinks } from "./row_links.js";
import { isConcerned } from "./poll.js";
import { offerRetry } from "./retry.js";
import { format, parse, readState, writeState } from "./state.js";

const PAUSE_MS = 150;
const MARGIN_PX = "400px";
const NOT_READ = ["hl", "cols", "tab", "v"]; // keys that change nothing that the server answers

function readWindow(text) {
  const range = (text ?? []).map(Number);
  return range.length === 2 && range.every(Number.isFinite) && range[0] < range[1] ? range : null;
}

class Explorer {
  constructor(element, buildForm) {
    this.element = element;
    this.charts = new Map(); // figure -> chart
    this.controls = new Map(); // metric -> request under way
    this.due = new Set();
    this.observer = new IntersectionObserver((entries) => this.onSeen(entries), { rootMargin: MARGIN_PX });
    this.fixed = parse(element.dataset.fixed ?? ""); // of a shared view
    this.form = buildForm(element, this.fixed, () => this.onChange());
    this.rows = new RowLinks(element, () => this.charts.values());
    this.adopt();
    document.addEventListener("morphed", () => this.adopt());
    document.addEventListener("themechange", () => {
      for (const chart of this.charts.values()) chart.recolour();
    });
    document.addEventListener("revision", ({ detail }) => {
      if (isConcerned(element, detail.moved)) this.reload();
    });
    addEventListener("popstate", () => {
      this.form.show();
      document.dispatchEvent(new CustomEvent("refresh"));
      this.onView();
    });
    element.addEventListener("click", (event) => this.onClick(event));
  }

  get view() {
    const { xs = "lin", ys = "lin", xr } = { ...this.fixed, ...readState() };
    return { xs, ys, window: readWindow(xr) };
  }

  get figures() {
    return [...this.element.querySelectorAll("figure[data-metric]")];
  }

  adopt() {
    const here = new Set(this.figures);
    for (const figure of this.charts.keys()) {
      if (!here.has(figure)) this.charts.delete(figure);
    }
    for (const figure of here) {
      if (this.charts.has(figure)) continue;
      const chart = new ExploreChart(figure, {
        onZoom: (range) => this.zoom(range, chart.payload.x_axis),
        onReset: () => this.zoom(null),
        onHover: (key) => this.rows.point(key),
        onPick: (key) => this.rows.pin(key),
        showsAll: () => this.form.showsAll,
      });
      this.charts.set(figure, chart);
      this.due.add(figure.dataset.metric);
      this.observer.observe(figure);
    }
    this.form.show();
    this.rows.show();
    this.load();
  }

  onSeen(entries) {
    for (const { target, isIntersecting } of entries) target.dataset.seen = String(isIntersecting);
    this.load();
  }

  reload() {
    this.asked = this.describeData();
    for (const { dataset } of this.figures) this.due.add(dataset.metric);
    this.load();
  }

  /** Read the metrics that are in view and not up to date; a newer request ends an older one. */
  load() {
    const seen = new Set(this.figures.filter(({ dataset }) => dataset.seen === "true").map(({ dataset }) => dataset.metric));
    for (const metric of [...this.due]) {
      if (!seen.has(metric)) continue;
      this.due.delete(metric);
      this.read(metric);
    }
  }

  async read(metric) {
    this.asked = this.describeData();
    this.controls.get(metric)?.abort();
    const control = new AbortController();
    this.controls.set(metric, control);
    try {
      const { body } = await get(this.buildUrl(metric), { signal: control.signal, slot: `curves ${metric}`, news: { describeHeld, joinHeld } });
      this.take(metric, body);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(metric, error);
    }
  }

  buildUrl(metric) {
    const state = readState();
    for (const key of NOT_READ) delete state[key];
    const search = format(state);
    return `${this.element.dataset.src}${search || "?"}&metric=${encodeURIComponent(metric)}`;
  }

  chartsOf(metric) {
    return [...this.charts].filter(([figure]) => figure.dataset.metric === metric);
  }

  take(metric, body) {
    const answers = new Map(body.charts.map((chart) => [chart.facet, chart]));
    const drawn = [];
    for (const [figure, chart] of this.chartsOf(metric)) {
      const payload = answers.get(figure.dataset.facet);
      if (!payload) continue;
      const isEmpty = payload.points_total === 0;
      if (!isEmpty) {
        chart.share(null);
        chart.draw(payload, this.view);
        drawn.push(chart);
      }
      describeChart(figure, payload, body, this.view);
      figure.dataset.scales = `${this.view.xs} ${this.view.ys}`;
      figure.dataset.state = isEmpty ? "empty" : "ready";
    }
    if (body.charts.length > 1) this.alignAxes(drawn);
    this.rows.show();
  }

  /** Facets of one metric are compared, so they have the same ranges. */
  alignAxes(charts) {
    const join = (ranges) => {
      const known = ranges.filter(Boolean);
      return known.length ? [Math.min(...known.map(([low]) => low)), Math.max(...known.map(([, high]) => high))] : null;
    };
    const shared = {
      x: join(charts.map(({ finder }) => finder.extent)),
      y: this.view.window ? null : join(charts.map(({ finder }) => finder.yRange)),
    };
    for (const chart of charts) {
      chart.share(shared);
      chart.applyWindow();
    }
  }

  fail(metric, error) {
    this.due.add(metric);
    for (const [figure] of this.chartsOf(metric)) {
      figure.dataset.state = "error";
      offerRetry(figure.querySelector(".foot"), error);
    }
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
    this.form.show();
    for (const chart of this.charts.values()) chart.zoomTo(this.view.window);
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.reload(), PAUSE_MS);
  }

  /** Something was chosen: the charts read anew, and the page's other parts follow. Another scale
      alone is drawn at once, where what was read has room on it. */
  onChange() {
    const isScaleOnly = this.asked === this.describeData();
    for (const [figure, chart] of this.charts) {
      if (isScaleOnly && chart.serves(this.view)) this.show(figure, chart);
      else this.due.add(figure.dataset.metric);
    }
    this.load();
    document.dispatchEvent(new CustomEvent("refresh"));
  }

  /** What the address asks the server for, scales aside. */
  describeData() {
    return format({ ...this.fixed, ...readState(), xs: null, ys: null });
  }

  show(figure, chart) {
    chart.draw(chart.payload, this.view);
    figure.dataset.scales = `${this.view.xs} ${this.view.ys}`;
  }

  async export(chart, kind) {
    const { exportChart } = await import("./explore_export.js");
    exportChart(chart, kind);
  }

  onClick({ target }) {
    if (target.closest("[data-retry]")) this.load();
    const button = target.closest("[data-export-curves]");
    if (button) this.export(this.charts.get(button.closest("figure")), button.dataset.exportCurves);
  }
}

/** The controls: all of them, or those that a reader of a shared view has. */
async function chooseForm(element) {
  const scales = element.querySelector("[data-explore-scales]");
  if (!scales) return (root, fixed, listen) => new ExploreForm(root, listen);
  const { ExploreScales } = await import("./explore_scales.js");
  return (root, fixed, listen) => new ExploreScales(scales, fixed, listen);
}

export async function mount(root) {
  for (const element of root.querySelectorAll("[data-explore]")) new Explorer(element, await chooseForm(element));
}
