/* Menus of keys: the columns of the table, and what it is grouped by. The usual ones stand there;
   any key of config or metric is found by its name. */
import { readFields } from "./fields.js";
import { readState, visit } from "./state.js";

const MAX_FOUND = 20;
const KINDS = { cols: ["config", "metric", "number", "text"], by: ["config", "text"] };
const EXCEPT = "!";

function drawChoice({ name, kind }) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.dataset.field = name;
  const text = document.createElement("span");
  text.textContent = `${name} `;
  const note = document.createElement("span");
  note.className = "muted";
  note.textContent = kind;
  text.append(note);
  label.append(box, text);
  return label;
}

/** All but some keys cannot be joined with keys: the last chosen kind counts. */
function keepKind(keys, chosen) {
  const isExcept = chosen.startsWith(EXCEPT);
  return keys.filter((key) => key.startsWith(EXCEPT) === isExcept);
}

class KeyMenu {
  constructor(menu, url) {
    Object.assign(this, { menu, url, kind: menu.dataset.keyMenu });
    this.found = menu.querySelector("[data-key-found]");
    this.list = menu.querySelector("[data-key-choices]");
    this.search = menu.querySelector("[data-key-search]");
    this.search.addEventListener("input", () => this.find());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault(); /* it is no part of the filter */
    });
    menu.addEventListener("change", ({ target }) => target.dataset.field && this.choose(target));
    menu.querySelector("[data-key-default]").addEventListener("click", () => this.reset());
    addEventListener("popstate", () => this.check(readState()[this.kind]));
  }

  get boxes() {
    return [...this.list.querySelectorAll("[data-field]")];
  }

  async find() {
    const word = this.search.value.trim().toLowerCase();
    const fields = word ? await readFields(this.url, word) : [];
    const known = new Set(this.boxes.map((box) => box.dataset.field));
    const fresh = fields.filter(
      ({ name, kind }) =>
        KINDS[this.kind].includes(kind) && name.toLowerCase().includes(word) && !known.has(name),
    );
    this.found.replaceChildren(...fresh.slice(0, MAX_FOUND).map(drawChoice));
  }

  choose(box) {
    if (this.found.contains(box)) this.list.append(box.closest("label"));
    const key = box.dataset.field;
    const chosen = this.boxes.filter((one) => one.checked).map((one) => one.dataset.field);
    if (this.kind === "cols") {
      visit({ cols: ["name", ...this.order(chosen)] });
      return;
    }
    const by = box.checked ? keepKind(this.order(chosen), key) : this.order(chosen);
    this.check(by);
    visit({ by, open: null, p: null });
  }

  /** Keep the order of the address; what is new comes last. */
  order(keys) {
    const before = (readState()[this.kind] ?? []).filter((key) => keys.includes(key));
    return [...before, ...keys.filter((key) => !before.includes(key))].filter((key) => key !== "name");
  }

  check(keys) {
    for (const box of this.boxes) {
      box.checked = keys ? keys.includes(box.dataset.field) : this.isUsual(box);
    }
  }

  isUsual(box) {
    return (this.menu.dataset.usual ?? "").split(",").includes(box.dataset.field);
  }

  reset() {
    this.check(null);
    visit({ [this.kind]: null, open: null, p: null });
  }
}

export function mount(root) {
  const url = root.querySelector("[data-fields-url]")?.dataset.fieldsUrl;
  for (const menu of root.querySelectorAll("[data-key-menu]")) new KeyMenu(menu, url);
}
