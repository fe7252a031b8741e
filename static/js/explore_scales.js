/* What a reader of a shared view may change: scales, smoothing, zoom, the tooltip. */
import { readState, writeState } from "./state.js";

const SMOOTH_PAUSE_MS = 120;

export class ExploreScales {
  constructor(element, fixed, onChange) {
    this.element = element;
    this.fixed = fixed;
    this.onChange = onChange;
    this.showsAll = false;
    element.addEventListener("click", (event) => this.onClick(event));
    element.addEventListener("input", (event) => this.onSlide(event));
  }

  get state() {
    return { xs: "lin", ys: "lin", ...this.fixed, ...readState() };
  }

  onClick({ target }) {
    const button = target.closest("button[data-set]");
    if (button) this.set(button);
    if (target.closest("[data-tip-mode]")) {
      this.showsAll = !this.showsAll;
      this.show();
    }
  }

  set(button) {
    const { set } = button.dataset;
    const isCycle = button.matches("[data-log-y]") && this.state.ys === "log";
    const value = isCycle ? "lin" : button.value || null;
    writeState({ [set]: value, ...(set === "xs" ? { xr: null } : {}) }, { push: true });
    this.show();
    this.onChange();
  }

  onSlide({ target }) {
    if (target.name !== "sm") return;
    this.element.querySelector("[data-smoothing]").textContent = target.value;
    clearTimeout(this.pause);
    this.pause = setTimeout(() => {
      writeState({ sm: target.value });
      this.onChange();
    }, SMOOTH_PAUSE_MS);
  }

  show() {
    const { state } = this;
    for (const button of this.element.querySelectorAll("button[data-set]")) {
      const { set } = button.dataset;
      if (set === "xr") button.hidden = !readState().xr;
      else button.setAttribute("aria-pressed", String(button.value === String(state[set])));
    }
    this.element.querySelector("[data-tip-mode]").setAttribute("aria-pressed", String(this.showsAll));
    const slider = this.element.querySelector("[name=sm]");
    if (document.activeElement !== slider) slider.value = state.sm ?? 0;
    this.element.querySelector("[data-smoothing]").textContent = slider.value;
  }
}
