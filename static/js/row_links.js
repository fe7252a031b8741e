/* Rows, entries of the legend and curves that stand for each other: hovering marks, a click pins. */
import { readState, writeState } from "./state.js";

const PLACES = "table, .explore-legend";
const MARKS = "tr[data-line], button[data-level]";
const keyOf = ({ dataset }) => dataset.line ?? dataset.level;

export class RowLinks {
  constructor(element, listCharts) {
    this.element = element;
    this.listCharts = listCharts;
    this.pointed = null;
    for (const kind of ["pointerover", "focusin"]) {
      element.addEventListener(kind, ({ target }) => {
        const mark = target.closest?.(MARKS);
        if (mark) this.point(keyOf(mark));
        else if (target.closest?.(PLACES)) this.point(null);
      });
    }
    for (const kind of ["pointerout", "focusout"]) {
      element.addEventListener(kind, ({ target, relatedTarget }) => {
        if (target.closest(PLACES) && !relatedTarget?.closest?.(PLACES)) this.point(null);
      });
    }
    element.addEventListener("click", ({ target }) => {
      const mark = target.closest(MARKS);
      if (mark && (mark.dataset.level || !target.closest("a, input, label, button"))) this.pin(keyOf(mark));
    });
  }

  get pinned() {
    return readState().hl?.[0] ?? null;
  }

  point(key) {
    if (key === this.pointed) return;
    this.pointed = key;
    this.show();
  }

  pin(key) {
    writeState({ hl: key === null || key === this.pinned ? null : [key] }, { push: true });
    this.show();
  }

  /** Which curves a key stands for: one, or those of an entry of the legend. */
  buildTest(key) {
    const entry = [...this.element.querySelectorAll("[data-level]")].find(({ dataset }) => dataset.level === key);
    if (!entry) return (line) => line.key === key;
    const { tone, dash } = entry.dataset;
    if (dash) return (line) => line.dash === Number(dash);
    const wanted = JSON.stringify(JSON.parse(tone));
    return (line) => JSON.stringify(line.tone) === wanted;
  }

  show() {
    const { pinned } = this;
    const key = this.pointed ?? pinned;
    for (const row of this.element.querySelectorAll("tr[data-line]")) {
      row.classList.toggle("is-pointed", row.dataset.line === key);
      row.classList.toggle("is-pinned", row.dataset.line === pinned);
    }
    for (const entry of this.element.querySelectorAll("[data-level]")) {
      entry.setAttribute("aria-pressed", String(entry.dataset.level === pinned));
    }
    const test = key === null ? () => false : this.buildTest(key);
    for (const chart of this.listCharts()) chart.highlight(test);
  }
}
