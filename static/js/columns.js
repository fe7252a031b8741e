/* The column chooser: usual columns, and any key of config or metric found by its name. */
import { readFields } from "./fields.js";
import { readState, visit } from "./state.js";

const MAX_FOUND = 20;

function drawChoice({ name, kind }) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox" });
  box.dataset.column = name;
  const text = document.createElement("span");
  text.textContent = `${name} `;
  const note = document.createElement("span");
  note.className = "muted";
  note.textContent = kind;
  text.append(note);
  label.append(box, text);
  return label;
}

class ColumnMenu {
  constructor(menu, url) {
    Object.assign(this, { menu, url });
    this.found = menu.querySelector("[data-column-found]");
    this.search = menu.querySelector("[data-column-search]");
    this.search.addEventListener("input", () => this.find());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault(); /* it is no part of the filter */
    });
    menu.addEventListener("change", ({ target }) => target.dataset.column && this.choose(target));
    menu.querySelector("[data-column-default]").addEventListener("click", () => this.reset());
  }

  get boxes() {
    return [...this.menu.querySelectorAll("[data-column-choices] [data-column]")];
  }

  async find() {
    const word = this.search.value.trim().toLowerCase();
    const fields = word ? await readFields(this.url, word) : [];
    const known = new Set(this.boxes.map((box) => box.dataset.column));
    const fresh = fields.filter(
      ({ name, kind }) => ["config", "metric", "number", "text"].includes(kind)
        && name.toLowerCase().includes(word) && !known.has(name),
    );
    this.found.replaceChildren(...fresh.slice(0, MAX_FOUND).map(drawChoice));
  }

  choose(box) {
    if (this.found.contains(box)) {
      this.menu.querySelector("[data-column-choices]").append(box.closest("label"));
    }
    const cols = this.boxes.filter((one) => one.checked).map((one) => one.dataset.column);
    visit({ cols: ["name", ...this.order(cols)] });
  }

  /** Keep the order of the table; what is new comes last. */
  order(cols) {
    const before = readState().cols ?? [];
    return [...before.filter((key) => cols.includes(key)), ...cols.filter((key) => !before.includes(key))]
      .filter((key) => key !== "name");
  }

  reset() {
    for (const box of this.boxes) box.checked = box.defaultChecked;
    visit({ cols: null });
  }
}

export function mount(root) {
  const url = root.querySelector("[data-fields-url]")?.dataset.fieldsUrl;
  for (const menu of root.querySelectorAll("[data-columns]")) new ColumnMenu(menu, url);
}
