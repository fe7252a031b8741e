/* Study figures: fetch, draw, say the state; the last good picture stays while anything fails. */
import { exportFigure } from "./export.js";
import { formatCount } from "./format.js";
import { get } from "./http.js";
import { drawPlot, onMarkClick, resizePlot } from "./plot.js";
import { isConcerned } from "./poll.js";
import { readState, writeState } from "./state.js";
import { buildTable } from "./data_table.js";
import { isDark, isOnPaper } from "./theme.js";

const COUNT_TEXTS = [
  ["clipped", "above the plot", ""],
  ["diverged", "diverged", "bad"],
  ["nonfinite", "with NaN or Inf", "bad"],
  ["nonpositive", "at ≤ 0, not drawn", ""],
  ["unfinished", "not in the fit yet, hollow", "plain"],
  ["without_loss", "without a loss yet", "plain"],
  ["without_axes", "without size or learning rate", ""],
  ["excluded", "left out of the fit", "plain"],
  ["held_out", "held out", "plain"],
  ["undrawn", "of other variants, not drawn", "plain"],
];

/* Counts of runs stand once, beside the figure that draws the runs themselves. */
const RUN_COUNTS = new Set(["diverged", "nonfinite", "unfinished", "without_loss", "without_axes"]);
/* What print.css keeps for a figure. */
const PAPER_PX = { width: 660, height: 300, tall: 400 };
const NOTHING_YET = "Nothing to draw yet; the plot appears with the first fit.";

class StudyFigure {
  constructor(element) {
    this.element = element;
    this.area = element.querySelector(".plot-area");
    this.document = null;
    this.isLoading = false;
    this.isWanted = false;
    this.caption = element.querySelector("figcaption");
    for (const part of [this.area, this.caption]) new ResizeObserver(() => this.resize()).observe(part);
    this.listen();
    this.load();
  }

  listen() {
    document.addEventListener("themechange", () => this.draw());
    document.addEventListener("revision", ({ detail }) => {
      if (isConcerned(this.element, detail.moved)) this.load();
    });
    addEventListener("popstate", () => this.load());
    document.addEventListener("optionchange", ({ detail }) => {
      if ((this.element.dataset.options ?? "").split(" ").includes(detail)) this.load();
    });
    this.element.addEventListener("click", (event) => this.onClick(event));
  }

  onClick({ target }) {
    const button = target.closest("button");
    if (!button) return;
    if (button.matches("[data-as-table]")) this.toggleTable(button);
    if (button.matches("[data-retry]")) this.load();
    if (button.matches("[data-more]")) this.toggleCaption(button);
    if (button.dataset.export) this.export(button.dataset.export);
    if (button.dataset.set) this.setOption(button.dataset.set, button.value);
  }

  export(format) {
    if (this.document) exportFigure(this.document, format);
    this.element.querySelector("details.menu").open = false;
  }

  setOption(key, value) {
    writeState({ [key]: value || null }, { push: true });
    document.dispatchEvent(new CustomEvent("optionchange", { detail: key }));
  }

  get source() {
    const url = new URL(this.element.dataset.src, document.baseURI);
    for (const key of (this.element.dataset.options ?? "").split(" ").filter(Boolean)) {
      const value = readState()[key];
      if (value) url.searchParams.set(key, value);
    }
    return url.pathname + url.search;
  }

  async load() {
    if (this.isLoading) {
      this.isWanted = true;
      return;
    }
    this.isLoading = true;
    try {
      const { body, changed } = await get(this.source);
      if (changed || body !== this.document) await this.take(body);
      this.showError(null);
    } catch (error) {
      this.showError(error);
    } finally {
      this.isLoading = false;
      if (this.isWanted) {
        this.isWanted = false;
        this.load();
      }
    }
  }

  async take(body) {
    this.document = body;
    this.showTexts();
    await this.draw();
    const { dataset } = this.element;
    const { counts = {} } = body;
    dataset.n = counts.n ?? "";
    dataset.drawn = counts.drawn ?? "";
    dataset.rev = body.rev ?? "";
    this.showState();
  }

  showState() {
    const { state, refusal } = this.document;
    this.element.dataset.state = state ?? (refusal ? "refused" : "ready");
  }

  async draw() {
    if (!this.document) return;
    this.showOptions();
    this.showRefusal();
    const isDrawable = (this.document.data ?? []).length > 0;
    this.area.hidden = !isDrawable;
    for (const kind of ["png", "svg"]) {
      for (const button of this.element.querySelectorAll(`[data-export=${kind}]`)) button.disabled = !isDrawable;
    }
    if (!isDrawable) return;
    const isFirst = !this.area.classList.contains("js-plotly-plot");
    const isTall = this.element.classList.contains("tall");
    const paper = { width: PAPER_PX.width, height: isTall ? PAPER_PX.tall : PAPER_PX.height };
    await drawPlot(this.area, this.document, isDark(), isOnPaper() ? paper : null);
    if (isFirst) onMarkClick(this.area, (point) => this.open(point));
  }

  resize() {
    this.fitCaption();
    if (this.document?.data && !this.area.hidden && !isOnPaper()) resizePlot(this.area);
  }

  open(point) {
    const custom = Array.isArray(point.customdata) ? point.customdata[0] : point.customdata;
    const { runUrl } = this.element.dataset;
    if (!runUrl || typeof custom !== "string" || custom === "") return;
    location.assign(runUrl.replace("__run__", encodeURIComponent(custom)));
  }

  showTexts() {
    const { title, caption, counts = {} } = this.document;
    const put = (selector, text) => {
      const place = this.element.querySelector(selector);
      if (place && text !== undefined) place.textContent = text;
    };
    put("[data-title]", title);
    put("[data-caption]", caption);
    this.fitCaption();
    const list = this.element.querySelector(".counts");
    list.replaceChildren();
    const isMain = this.element.classList.contains("tall");
    for (const [key, words, tone] of COUNT_TEXTS) {
      if (!counts[key] || (RUN_COUNTS.has(key) && !isMain)) continue;
      const badge = document.createElement("span");
      badge.className = `badge ${tone}`;
      badge.dataset.count = key;
      badge.textContent = `${formatCount(counts[key])} ${words}`;
      list.append(badge);
    }
    const table = this.element.querySelector(".as-table");
    if (this.document.table) table.replaceChildren(buildTable(this.document.table));
  }

  showOptions() {
    const state = readState();
    for (const button of this.element.querySelectorAll("[data-set]")) {
      button.setAttribute("aria-pressed", String(button.value === (state[button.dataset.set] ?? "")));
    }
  }

  showRefusal() {
    const { refusal } = this.document;
    const place = this.element.querySelector(".refusal");
    const note = this.element.querySelector(".refusal-note");
    const isDrawn = (this.document.data ?? []).length > 0;
    this.element.querySelector(".state-text").hidden = true;
    place.hidden = isDrawn;
    note.hidden = !(refusal && isDrawn);
    note.textContent = refusal ? `No fit. ${refusal.sentence}.` : "";
    place.querySelector(".sentence").textContent = refusal ? refusal.sentence : NOTHING_YET;
    place.querySelector(".cure").textContent = refusal?.cure ?? "";
  }

  showError(error) {
    const card = this.element.querySelector(".error-card");
    card.hidden = error === null;
    if (error === null) return this.showState();
    this.element.dataset.state = "error";
    card.querySelector(".message").textContent = error.message;
    card.querySelector(".request-id").textContent = [error.code, error.requestId]
      .filter(Boolean)
      .join(" · ");
    this.element.querySelector(".state-text").hidden = true;
    return undefined;
  }

  /** Offer the rest of a caption only where a small figure cuts it. */
  fitCaption() {
    const button = this.element.querySelector("[data-more]");
    const { scrollHeight, clientHeight } = this.caption;
    if (button && !this.element.hasAttribute("data-open")) button.hidden = scrollHeight <= clientHeight;
  }

  toggleCaption(button) {
    const isOpen = this.element.toggleAttribute("data-open");
    button.setAttribute("aria-expanded", String(isOpen));
    button.textContent = isOpen ? "less" : "more";
  }

  toggleTable(button) {
    const table = this.element.querySelector(".as-table");
    const isTable = table.hidden;
    table.hidden = !isTable;
    this.element.querySelector(".plot").hidden = isTable;
    button.setAttribute("aria-pressed", String(isTable));
    if (!isTable) this.resize();
  }
}

export function mount(root) {
  const known = new WeakSet();
  const adopt = () => {
    for (const element of root.querySelectorAll("[data-plot]")) {
      if (known.has(element)) continue;
      known.add(element);
      new StudyFigure(element);
    }
  };
  document.addEventListener("morphed", adopt);
  adopt();
}
