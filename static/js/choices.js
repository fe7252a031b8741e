/* The list of completions under a field, the filter's here: it never takes Enter unasked. */
import { findPlace, listChoices } from "./complete.js";
import { readFields } from "./fields.js";

export class Choices {
  constructor(field, list, url) {
    Object.assign(this, { field, list, url, shown: [], current: -1, place: null });
    field.addEventListener("input", () => this.offer());
    field.addEventListener("click", () => this.offer());
    field.addEventListener("blur", () => this.hide());
    list.addEventListener("pointerdown", (event) => this.onPointer(event));
  }

  get isOpen() {
    return !this.list.hidden;
  }

  async offer() {
    const { field } = this;
    const asked = findPlace(field.value, field.selectionStart);
    const fields = await readFields(this.url, asked?.expect === "field" ? asked.word : "");
    if (document.activeElement !== field) return;
    this.place = findPlace(field.value, field.selectionStart);
    this.show(listChoices(this.place, fields));
  }

  show(choices) {
    this.shown = choices;
    this.current = -1;
    this.list.hidden = choices.length === 0;
    this.field.removeAttribute("aria-activedescendant");
    this.list.replaceChildren(...choices.map((choice, place) => this.draw(choice, place)));
  }

  draw({ text, note }, place) {
    const item = document.createElement("li");
    Object.assign(item, { id: `${this.list.id}-${place}`, role: "option" });
    item.setAttribute("aria-selected", "false");
    const name = document.createElement("span");
    name.textContent = text;
    const kind = document.createElement("span");
    kind.className = "muted";
    kind.textContent = note;
    item.append(name, kind);
    return item;
  }

  hide() {
    this.show([]);
  }

  /** Move the highlight; says whether the key was for the list. */
  onKey(event) {
    if (!this.isOpen) return false;
    if (event.key === "Escape") this.hide();
    else if (event.key === "ArrowDown") this.highlight(this.current + 1);
    else if (event.key === "ArrowUp") this.highlight(this.current - 1);
    else if (event.key === "Tab" && !event.shiftKey) this.accept(Math.max(0, this.current));
    else if (event.key === "Enter" && this.current >= 0) this.accept(this.current);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  highlight(place) {
    const n = this.shown.length;
    this.current = ((place % n) + n) % n;
    for (const [number, item] of [...this.list.children].entries()) {
      item.setAttribute("aria-selected", String(number === this.current));
    }
    const item = this.list.children[this.current];
    item.scrollIntoView({ block: "nearest" });
    this.field.setAttribute("aria-activedescendant", item.id);
  }

  onPointer(event) {
    const item = event.target.closest("li");
    if (!item) return;
    event.preventDefault(); /* the field keeps the focus */
    this.accept([...this.list.children].indexOf(item));
  }

  accept(place) {
    const { start, word } = this.place;
    this.field.setRangeText(this.shown[place].insert, start, start + word.length, "end");
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
