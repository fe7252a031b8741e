/* The controls of the explorer: each writes its key of the address, and shows what stands there. */
import { readState, writeState } from "./state.js";

const DEFAULTS = { agg: "none", area: "none" };
const SMOOTH_PAUSE_MS = 120;

export class ExploreForm {
  constructor(element, onChange) {
    this.element = element;
    this.form = element.querySelector("[data-explore-form]");
    this.onChange = onChange;
    this.showsAll = false;
    for (const kind of ["click", "input"]) {
      this.form.elements.f.addEventListener(kind, () => this.offerChoices(), { once: true });
    }
    this.form.addEventListener("submit", (event) => this.onSubmit(event));
    this.form.addEventListener("change", (event) => this.onSelect(event));
    this.form.addEventListener("input", (event) => this.onSlide(event));
    this.form.addEventListener("keydown", (event) => this.onKey(event));
    element.addEventListener("click", (event) => this.onClick(event));
    element.addEventListener("change", ({ target }) => {
      if (target.matches("[data-pick]")) this.pick(target);
    });
  }

  /** Completions are fetched when somebody first goes to the filter. */
  async offerChoices() {
    if (this.isCompleting) return;
    this.isCompleting = true;
    const { Choices } = await import("./choices.js");
    const list = this.form.querySelector("[role=listbox]");
    this.choices = new Choices(this.form.elements.f, list, list.dataset.fieldsUrl);
    this.choices.offer();
  }

  visit(changes) {
    writeState(changes, { push: true });
    this.show();
    this.onChange();
  }

  onSubmit(event) {
    event.preventDefault();
    this.choices?.hide();
    const { f, m } = this.form.elements;
    const metrics = m.value.split(",").map((name) => name.trim()).filter(Boolean);
    this.visit({ f: f.value.trim() || null, m: metrics, sel: null, p: null });
  }

  onKey(event) {
    if (event.target.name === "f" && this.choices?.onKey(event)) return;
    if (event.target.name !== "f" || event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  onSelect({ target }) {
    if (target.nodeName !== "SELECT") return;
    const isDefault = target.value === (DEFAULTS[target.name] ?? "");
    const value = target.name === "facet" ? [target.value] : target.value;
    const changes = { [target.name]: isDefault ? null : value };
    if (target.name === "x") changes.xr = null;
    if (target.name === "agg" && isDefault) changes.area = null;
    this.visit(changes);
  }

  onSlide({ target }) {
    if (target.name !== "sm") return;
    this.form.querySelector("[data-smoothing]").textContent = target.value;
    clearTimeout(this.pause);
    this.pause = setTimeout(() => {
      writeState({ sm: Number(target.value) ? target.value : null });
      this.onChange();
    }, SMOOTH_PAUSE_MS);
  }

  get drawn() {
    const chips = this.element.querySelectorAll("[data-drop-metric]");
    return readState().m ?? [...chips].map((chip) => chip.dataset.dropMetric);
  }

  onClick(event) {
    const { target } = event;
    const link = target.closest("a[data-visit]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      history.pushState(null, "", link.getAttribute("href"));
      this.show();
      this.onChange();
    }
    const { addMetric, dropMetric } = target.closest("button.chip")?.dataset ?? {};
    if (addMetric) this.visit({ m: [...this.drawn, addMetric] });
    if (dropMetric) this.drop(dropMetric);
    const button = target.closest("button[data-set]");
    if (button) this.toggle(button);
    if (target.closest("[data-clear-selection]")) this.visit({ sel: null });
    if (target.closest("[data-tip-mode]")) {
      this.showsAll = !this.showsAll;
      this.show();
    }
  }

  /** Take a metric away; where a pattern stood for it, the names that are left take its place. */
  drop(name) {
    const chips = [...this.element.querySelectorAll("[data-drop-metric]")];
    const left = chips.map((chip) => chip.dataset.dropMetric).filter((other) => other !== name);
    if (left.length) this.visit({ m: left });
  }

  toggle(button) {
    const { set } = button.dataset;
    const isCycle = button.matches("[data-log-y]") && readState().ys === "log";
    this.visit({ [set]: isCycle ? null : button.value || null, ...(set === "xs" ? { xr: null } : {}) });
  }

  pick({ value, checked }) {
    const chosen = new Set(readState().sel ?? []);
    if (checked) chosen.add(value);
    else chosen.delete(value);
    this.visit({ sel: [...chosen] });
  }

  /** Show in the controls what the address says. */
  show() {
    const state = readState();
    for (const select of this.form.querySelectorAll("select")) {
      const wanted = [state[select.name] ?? DEFAULTS[select.name] ?? ""].flat()[0];
      if ([...select.options].some(({ value }) => value === wanted)) select.value = wanted;
    }
    this.form.elements.area.disabled = !state.agg;
    for (const button of this.element.querySelectorAll("button[data-set]")) {
      const chosen = String(state[button.dataset.set] ?? "");
      if (button.dataset.set === "xr") button.hidden = !state.xr;
      else button.setAttribute("aria-pressed", String(button.value === chosen));
    }
    const mode = this.form.querySelector("[data-tip-mode]");
    mode.setAttribute("aria-pressed", String(this.showsAll));
    this.showFields(state);
  }

  showFields(state) {
    const { f, m, sm } = this.form.elements;
    const isTyping = (field) => document.activeElement === field;
    if (!isTyping(f)) f.value = state.f ?? "";
    if (!isTyping(m)) m.value = (state.m ?? []).join(", ");
    if (!isTyping(sm)) sm.value = state.sm ?? 0;
    this.form.querySelector("[data-smoothing]").textContent = sm.value;
  }
}
