/* Menus of keys: the columns of the table, and what it is grouped by. Those chosen stand first, in
   their order; any other key of config or metric is found by its name. */
import { readFields } from "./fields.js";
import { readState, visit } from "./state.js";

const MAX_FOUND = 20;
const KINDS = { cols: ["config", "metric", "number", "text", "time"], by: ["config", "text"] };
const EXCEPT = "!";
const MOVES = { "-1": "up", 1: "down" };

/** All but some keys cannot be joined with keys: the last chosen kind counts. */
function keepKind(keys, chosen) {
  const isExcept = chosen.startsWith(EXCEPT);
  return keys.filter((key) => key.startsWith(EXCEPT) === isExcept);
}

class KeyMenu {
  constructor(menu, url) {
    Object.assign(this, { menu, url, kind: menu.dataset.keyMenu });
    this.usual = menu.dataset.usual.split(",").filter((key) => key && key !== "name");
    this.found = menu.querySelector("[data-key-found]");
    this.list = menu.querySelector("[data-key-choices]");
    this.search = menu.querySelector("[data-key-search]");
    this.search.addEventListener("input", () => this.find());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault(); /* it is no part of the filter */
    });
    menu.addEventListener("change", ({ target }) => target.dataset.field && this.choose(target));
    menu.addEventListener("click", ({ target }) => target.dataset.move && this.move(target));
    menu.querySelector("[data-key-default]").addEventListener("click", () => this.show(this.usual));
    addEventListener("popstate", () => this.arrange(readState()[this.kind] ?? this.usual));
  }

  get rows() {
    return [...this.list.children];
  }

  get chosen() {
    return [...this.list.querySelectorAll("[data-field]:checked")].map((box) => box.dataset.field);
  }

  async find() {
    const word = this.search.value.trim().toLowerCase();
    for (const row of this.rows) {
      const text = row.querySelector("label").textContent + keyOf(row);
      row.hidden = !text.toLowerCase().includes(word);
    }
    const fields = word ? await readFields(this.url, word) : [];
    const known = new Set(this.rows.map(keyOf));
    const fresh = fields.filter(
      ({ name, kind }) =>
        KINDS[this.kind].includes(kind) && name.toLowerCase().includes(word) && !known.has(name),
    );
    this.found.replaceChildren(...fresh.slice(0, MAX_FOUND).map((field) => this.draw(field)));
  }

  draw({ name, kind }) {
    const row = this.menu.querySelector("[data-key-row]").content.cloneNode(true);
    row.querySelector("[data-field]").dataset.field = name;
    row.querySelector("[data-label]").textContent = name;
    row.querySelector("[data-note]").textContent = kind;
    for (const button of row.querySelectorAll("[data-move]")) {
      button.setAttribute("aria-label", `Move ${name} ${MOVES[button.dataset.move]}`);
    }
    return row;
  }

  choose(box) {
    const { field } = box.dataset;
    if (this.found.contains(box)) this.list.append(box.closest(".key-row"));
    const { chosen } = this;
    this.show(this.kind === "by" && box.checked ? keepKind(chosen, field) : chosen, box);
  }

  move(button) {
    const { chosen } = this;
    const key = keyOf(button.closest(".key-row"));
    const place = chosen.indexOf(key);
    const next = Math.min(chosen.length - 1, Math.max(0, place + Number(button.dataset.move)));
    chosen.splice(next, 0, ...chosen.splice(place, 1));
    this.show(chosen, button);
  }

  /** Put the chosen keys first, in their order; `held` keeps the focus where it moves to. */
  arrange(keys, held) {
    const rows = new Map(this.rows.map((row) => [keyOf(row), row]));
    for (const [key, row] of rows) row.querySelector("[data-field]").checked = keys.includes(key);
    this.list.prepend(...keys.map((key) => rows.get(key)).filter(Boolean));
    held?.focus();
  }

  show(keys, held) {
    this.arrange(keys, held);
    const isUsual = keys.join() === this.usual.join();
    if (this.kind === "by") visit({ by: isUsual ? null : keys, open: null, p: null });
    else visit({ cols: isUsual ? null : ["name", ...keys] });
  }
}

const keyOf = (row) => row.querySelector("[data-field]").dataset.field;

export function mount(root) {
  const url = root.querySelector("[data-fields-url]")?.dataset.fieldsUrl;
  for (const menu of root.querySelectorAll("[data-key-menu]")) new KeyMenu(menu, url);
}
