/* The runs table: selection kept in the URL, rows by j and k, x to select. */
import { get } from "./http.js";
import { sayFailed } from "./live.js";
import { format, parse, readState, visit, writeState } from "./state.js";

const MAX_COMPARED = 20;
const MAX_DRAWN = 100;
const EVERY = "*"; /* all runs that the filter leaves, on every page */

class SelectableTable {
  constructor(form) {
    this.form = form;
    this.bar = form.querySelector("[data-selection-bar]");
    this.chosen = new Set(readState().sel ?? []);
    this.members = new Map(); /* ids of the runs of groups that were chosen */
    form.addEventListener("click", ({ shiftKey }) => {
      this.isRange = shiftKey; /* a click comes before the change that it makes */
    });
    form.addEventListener("mousedown", (event) => {
      if (event.shiftKey && event.target.closest(".select")) event.preventDefault(); /* of text */
    });
    form.addEventListener("change", (event) => this.onChange(event));
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("morphed", () => this.show());
    form.querySelector("[data-clear]").addEventListener("click", () => this.choose([]));
    form.querySelector("[data-select-every]").addEventListener("click", () => this.choose([EVERY]));
    this.show();
  }

  get boxes() {
    return [...this.form.querySelectorAll("tbody input[type=checkbox][name=run]")];
  }

  get isEvery() {
    return this.chosen.has(EVERY);
  }

  get total() {
    return Number(this.form.querySelector("[data-count]").dataset.count);
  }

  onChange({ target }) {
    if (target.dataset.selectGroup) this.chooseGroup(target);
    const isAll = target.matches("[data-select-all]");
    if (target.name !== "run" && !isAll) return;
    if (isAll && this.boxes.length === 0) { /* groups, none of them open */
      this.choose(target.checked ? [EVERY] : []);
      return;
    }
    /* One box less than every run is what this page shows of them. */
    if (this.isEvery) this.chosen = new Set(this.boxes.map((box) => box.value));
    for (const { value } of this.findMeant(target)) {
      if (target.checked) this.chosen.add(value);
      else this.chosen.delete(value);
    }
    this.choose(this.chosen);
  }

  /** The boxes that a click means: one, all of the page, or with Shift those since the last one. */
  findMeant(target) {
    const { boxes, last } = this;
    if (target.name !== "run") return boxes;
    this.last = target.value;
    const ends = [target.value, last].map((uid) => boxes.findIndex(({ value }) => value === uid));
    if (!this.isRange || ends.includes(-1)) return [target];
    return boxes.slice(Math.min(...ends), Math.max(...ends) + 1);
  }

  /** The runs of a closed group are not on the page: its twin names them. */
  async chooseGroup({ checked, dataset }) {
    const id = dataset.selectGroup;
    const url = `${location.pathname}.json${format({ ...readState(), open: [id] })}`;
    try {
      const { body } = await get(url);
      const { runs } = body.groups.find((group) => group.id === id) ?? { runs: [] };
      this.members.set(id, runs.map((run) => run.uid));
    } catch (error) {
      this.show();
      sayFailed(error, () => document.dispatchEvent(new CustomEvent("refresh")));
      return;
    }
    const chosen = new Set(this.isEvery ? [] : this.chosen);
    for (const uid of this.members.get(id)) {
      if (checked) chosen.add(uid);
      else chosen.delete(uid);
    }
    this.choose(chosen);
  }

  choose(uids) {
    this.chosen = new Set(uids);
    writeState({ sel: [...this.chosen] });
    this.show();
  }

  show() {
    for (const box of this.boxes) {
      box.checked = this.isEvery || this.chosen.has(box.value);
      box.closest("tr").dataset.selected = String(box.checked);
    }
    for (const box of this.form.querySelectorAll("[data-select-group]")) {
      const members = this.members.get(box.dataset.selectGroup);
      box.checked = this.isEvery || Boolean(members?.every((uid) => this.chosen.has(uid)));
      box.closest("tr").dataset.selected = String(box.checked);
    }
    const isWhole = this.boxes.length > 0 && this.boxes.every((box) => box.checked);
    const all = this.form.querySelector("[data-select-all]");
    if (all) all.checked = isWhole || (this.isEvery && this.boxes.length === 0);
    this.showBar(isWhole);
  }

  showBar(isWhole) {
    const { bar, total } = this;
    const n = this.isEvery ? total : this.chosen.size;
    bar.hidden = n === 0;
    bar.querySelector("[data-selected-count]").textContent = n.toLocaleString("en");
    const every = bar.querySelector("[data-select-every]");
    every.hidden = this.isEvery || !isWhole || n >= total;
    every.querySelector("[data-total]").textContent = total.toLocaleString("en");
    bar.querySelector("[data-compare]").disabled = this.isEvery || n < 2 || n > MAX_COMPARED;
    const draw = bar.querySelector("[data-draw]");
    draw.disabled = this.isEvery ? Boolean(readState().q) : n > MAX_DRAWN;
    const unarchive = bar.querySelector("[data-unarchive]");
    if (unarchive) unarchive.hidden = !readState().arch;
    const words = bar.querySelector("[data-selected-words]");
    if (words) words.textContent = n === 1 ? "1 run" : `${n.toLocaleString("en")} runs`;
  }

  onKey(event) {
    const isTyping = event.target.matches?.("input:not([type=checkbox]), textarea, select");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") this.move(1);
    if (event.key === "k") this.move(-1);
    if (event.key === "x") this.current?.querySelector("input[type=checkbox]")?.click();
    if (event.key === "Enter" && event.target === document.body) {
      this.current?.querySelector("th a")?.click();
    }
  }

  get rows() {
    return [...this.form.querySelectorAll("tbody tr")];
  }

  get current() {
    return this.form.querySelector("tr.is-current");
  }

  move(by) {
    const { rows, current } = this;
    if (rows.length === 0) return;
    const place = current ? rows.indexOf(current) + by : 0;
    const next = rows[Math.min(rows.length - 1, Math.max(0, place))];
    current?.classList.remove("is-current");
    next.classList.add("is-current");
    next.querySelector("th a")?.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }
}

/** Sorting and paging show another view without a new page. */
function follow(event, form) {
  const link = event.target.closest("a.sort, a.group-toggle, a[data-archive], a[rel=prev], a[rel=next]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  const state = parse(new URL(link.href).search);
  const changes = ["s", "p", "open", "arch"].map((key) => [key, state[key] ?? null]);
  visit(Object.fromEntries(changes));
  if (!link.matches(".sort, [rel]")) return;
  form.querySelector(".table-scroll").scrollTop = 0;
  form.querySelector("thead").scrollIntoView({ block: "nearest" });
}

export function mount(root) {
  for (const form of root.querySelectorAll("[data-runs-form]")) {
    new SelectableTable(form);
    form.addEventListener("click", (event) => follow(event, form));
    addEventListener("popstate", () => document.dispatchEvent(new CustomEvent("refresh")));
  }
}
