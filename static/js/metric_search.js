/* Which charts of a run are shown: names, parts of names or regular expressions, kept in the address. */
import { formatCount } from "./format.js";
import { readState, writeState } from "./state.js";

/** A test of names by one item of the field; what is no expression is a part of a name. */
function buildTest(text) {
  try {
    const pattern = new RegExp(text, "i");
    return (name) => pattern.test(name);
  } catch {
    return (name) => name.toLowerCase().includes(text.toLowerCase());
  }
}

export class MetricSearch {
  constructor(element) {
    this.element = element;
    this.field = element.querySelector("[data-metric-search]");
    this.field.addEventListener("input", () => {
      const wanted = this.field.value.split(",").map((name) => name.trim()).filter(Boolean);
      writeState({ m: wanted.length ? wanted : null });
      this.show();
    });
  }

  show() {
    const wanted = readState().m ?? [];
    if (document.activeElement !== this.field) this.field.value = wanted.join(", ");
    const tests = wanted.map(buildTest);
    const figures = [...this.element.querySelectorAll("figure[data-metric]")];
    for (const { dataset, classList } of figures) {
      const isShown = tests.length === 0 || tests.some((test) => test(dataset.metric));
      classList.toggle("is-left-out", !isShown);
    }
    for (const group of this.element.querySelectorAll(".chart-group")) {
      group.classList.toggle("is-left-out", !group.querySelector("figure:not(.is-left-out)"));
    }
    const shown = figures.filter(({ classList }) => !classList.contains("is-left-out")).length;
    const note = this.element.querySelector("[data-metric-count]");
    note.textContent = tests.length ? `${formatCount(shown)} of ${formatCount(figures.length)} metrics` : "";
  }
}
