/* The runs table: selection kept in the URL, rows by j and k, x to select. */
import { parse, readState, visit, writeState } from "./state.js";

class SelectableTable {
  constructor(form) {
    this.form = form;
    this.chosen = new Set(readState().sel ?? []);
    form.addEventListener("change", (event) => this.onChange(event));
    form.addEventListener("submit", () => this.sendOthers());
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("morphed", () => this.show());
    form.querySelector("[data-clear]")?.addEventListener("click", () => this.clear());
    this.show();
  }

  get boxes() {
    return [...this.form.querySelectorAll("tbody input[type=checkbox][name=run]")];
  }

  onChange({ target }) {
    if (target.matches("[data-select-all]")) {
      for (const box of this.boxes) this.set(box.value, target.checked);
    } else if (target.name === "run") {
      this.set(target.value, target.checked);
    } else {
      return;
    }
    writeState({ sel: [...this.chosen] });
    this.show();
  }

  set(uid, isChosen) {
    if (isChosen) this.chosen.add(uid);
    else this.chosen.delete(uid);
  }

  clear() {
    this.chosen.clear();
    writeState({ sel: null });
    this.show();
  }

  /** Runs chosen on other pages of the table have no box here; send them too. */
  sendOthers() {
    const here = new Set(this.boxes.map((box) => box.value));
    for (const uid of this.chosen) {
      if (here.has(uid)) continue;
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "run", value: uid });
      this.form.append(field);
    }
  }

  show() {
    for (const box of this.boxes) {
      box.checked = this.chosen.has(box.value);
      box.closest("tr").dataset.selected = String(box.checked);
    }
    const bar = this.form.querySelector("[data-selection-bar]");
    if (bar) {
      bar.hidden = this.chosen.size === 0;
      bar.querySelector("[data-selected-count]").textContent = String(this.chosen.size);
    }
    const all = this.form.querySelector("[data-select-all]");
    if (all) all.checked = this.boxes.length > 0 && this.boxes.every((box) => box.checked);
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
  const link = event.target.closest("a.sort, a.group-toggle, a[rel=prev], a[rel=next]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  const { s, p, open } = parse(new URL(link.href).search);
  visit({ s: s ?? null, p: p ?? null, open: open ?? null });
  if (link.rel) form.scrollIntoView({ block: "start" });
}

export function mount(root) {
  for (const form of root.querySelectorAll("[data-runs-form]")) {
    new SelectableTable(form);
    form.addEventListener("click", (event) => follow(event, form));
    addEventListener("popstate", () => document.dispatchEvent(new CustomEvent("refresh")));
  }
}
