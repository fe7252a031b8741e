/* What is done with the chosen runs: study, export, tags, archive, deletion. */
import { readState } from "./state.js";

const EVERY = "*";
const FILTER_KEYS = ["f", "q", "state", "arch"];

const chosen = () => readState().sel ?? [];
const isEvery = () => chosen()[0] === EVERY;

/** The parameters that say which runs are meant: ids, or the filter of the table. */
function describeRuns(rename = {}) {
  const params = new URLSearchParams();
  const state = readState();
  for (const key of FILTER_KEYS) {
    if (isEvery() && state[key]) params.set(rename[key] ?? key, state[key]);
  }
  return params;
}

function makeStudy({ dataset }) {
  const params = describeRuns();
  if (isEvery()) params.set("every", "1");
  else for (const uid of chosen()) params.append("run", uid);
  location.assign(`${dataset.url}?${params}`);
}

function exportRuns({ dataset }) {
  const params = describeRuns({ f: "filter", q: "match" });
  if (isEvery()) params.set("archived", { 1: "show", only: "only" }[params.get("arch")] ?? "hide");
  else params.set("runs", chosen().join(","));
  params.delete("arch");
  location.assign(`${dataset.url}?what=runs&type=csv&${params}`);
}

function compare({ dataset }) {
  location.assign(`${dataset.url}?sel=${encodeURIComponent(chosen().join(","))}`);
}

/** The curves of the chosen runs; of all that match, by the filter that the explorer reads too. */
function draw({ dataset }) {
  const { f, state } = readState();
  const parts = [f && `(${f})`, state && `state = ${state}`].filter(Boolean);
  const query = isEvery() ? { f: parts.join(" and ") } : { sel: chosen().join(",") };
  location.assign(`${dataset.url}?${new URLSearchParams(query)}`);
}

class Actions {
  constructor(form) {
    this.form = form;
    this.dialog = form.querySelector("[data-delete-dialog]");
    form.addEventListener("click", (event) => this.onClick(event));
    form.addEventListener("submit", () => this.fill());
    for (const field of form.querySelectorAll("[name=tag]")) {
      field.addEventListener("keydown", (event) => this.onTagKey(event));
    }
  }

  onClick({ target }) {
    const button = target.closest("button");
    if (!button) return;
    if (button.matches("[data-make-study]")) makeStudy(button);
    if (button.matches("[data-compare]")) compare(button);
    if (button.matches("[data-draw]")) draw(button);
    if (button.matches("[data-export]")) exportRuns(button);
    if (button.matches("[data-delete]")) this.dialog.showModal();
    if (button.matches("[data-cancel]")) this.dialog.close();
  }

  /** Enter in the field of the tag adds it; an empty one sends nothing. */
  onTagKey(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (event.target.value.trim()) this.form.requestSubmit(this.form.querySelector("[value=tag]"));
  }

  fill() {
    const { runs, view } = this.form.elements;
    runs.value = chosen().join(",");
    view.value = location.search.replace(/^\?/, "");
  }
}

export function mount(root) {
  for (const form of root.querySelectorAll("[data-runs-form]")) new Actions(form);
}
