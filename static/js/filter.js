/* The filter of the runs table: counts while typing, never sends what the server cannot read. */
import { Choices } from "./choices.js";
import { get } from "./http.js";
import { readState, visit } from "./state.js";

const PAUSE_MS = 250;
const FIELDS = ["f", "q", "state"];

class FilterForm {
  constructor(form) {
    this.form = form;
    this.field = form.querySelector("[data-filter]");
    this.note = form.querySelector("[data-filter-note]");
    const list = form.querySelector("[role=listbox]");
    this.choices = new Choices(this.field, list, form.dataset.fieldsUrl);
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    form.addEventListener("input", () => this.onInput());
    form.addEventListener("change", ({ target }) => target.name === "state" && this.submit());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    addEventListener("popstate", () => this.onBack());
    this.placeCaret(Number(this.field.dataset.position));
  }

  get wish() {
    const wish = {};
    for (const name of FIELDS) wish[name] = this.form.elements[name].value.trim();
    return wish;
  }

  onKey(event) {
    if (this.choices.onKey(event)) return;
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.submit();
  }

  onInput() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.preview(), PAUSE_MS);
  }

  async ask(wish) {
    this.control?.abort();
    this.control = new AbortController();
    const search = new URLSearchParams({ ...wish, arch: readState().arch ?? "" });
    const url = `${this.form.dataset.countUrl}?${search}`;
    const { body } = await get(url, { signal: this.control.signal });
    return body;
  }

  async preview() {
    const { wish } = this;
    const state = readState();
    if (FIELDS.every((name) => wish[name] === (state[name] ?? ""))) return this.say("");
    try {
      const { total, all_runs: all, error } = await this.ask(wish);
      if (error) this.say(error.message);
      else this.say(`${total.toLocaleString("en")} of ${all.toLocaleString("en")} runs match; Enter shows them`);
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
    }
    return undefined;
  }

  async submit() {
    clearTimeout(this.pause);
    this.choices.hide();
    const { wish } = this;
    try {
      const { error } = await this.ask(wish);
      if (error) return this.showError(error);
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
      return undefined;
    }
    this.say("");
    document.querySelector("#runs .table-scroll")?.scrollTo(0, 0);
    return visit({ ...wish, p: null, open: null });
  }

  say(text) {
    for (const name of ["f", "q"]) this.form.elements[name].removeAttribute("aria-invalid");
    this.note.textContent = text;
  }

  showError({ field, message, position, caret }) {
    const box = document.createElement("div");
    box.className = "field-error";
    if (caret) {
      const drawn = document.createElement("pre");
      drawn.className = "caret";
      drawn.textContent = caret;
      box.append(drawn);
    }
    const text = document.createElement("p");
    text.textContent = message;
    box.append(text);
    this.note.replaceChildren(box);
    const wrong = this.form.elements[field];
    wrong?.setAttribute("aria-invalid", "true");
    wrong?.focus();
    if (field === "f") this.placeCaret(position);
  }

  placeCaret(position) {
    if (!position) return;
    this.field.focus();
    this.field.setSelectionRange(position - 1, position - 1);
  }

  onBack() {
    const state = readState();
    for (const name of FIELDS) this.form.elements[name].value = state[name] ?? "";
    this.say("");
  }
}

export function mount(root) {
  for (const form of root.querySelectorAll("[data-filter-form]")) new FilterForm(form);
}
