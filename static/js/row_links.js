/* Rows and curves that stand for each other: hovering one marks the other, a click pins it. */
import { readState, writeState } from "./state.js";

export class RowLinks {
  constructor(element, listCharts) {
    this.element = element;
    this.listCharts = listCharts;
    this.pointed = null;
    for (const kind of ["pointerover", "focusin"]) {
      element.addEventListener(kind, ({ target }) => {
        const row = target.closest?.("tr[data-line]");
        if (row) this.point(row.dataset.line);
        else if (target.closest?.("table")) this.point(null);
      });
    }
    element.addEventListener("pointerout", ({ target, relatedTarget }) => {
      if (target.closest("table") && !relatedTarget?.closest?.("table")) this.point(null);
    });
    element.addEventListener("click", ({ target }) => {
      const row = target.closest("tr[data-line]");
      if (row && !target.closest("a, input, label, button")) this.pin(row.dataset.line);
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

  show() {
    const { pinned } = this;
    const key = this.pointed ?? pinned;
    for (const row of this.element.querySelectorAll("tr[data-line]")) {
      row.classList.toggle("is-pointed", row.dataset.line === key);
      row.classList.toggle("is-pinned", row.dataset.line === pinned);
    }
    for (const chart of this.listCharts()) chart.highlight(key);
  }
}
