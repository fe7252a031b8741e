/* The field that names the run whose config this one is compared with; the choice is in the URL. */
import { visit } from "./state.js";

export function mount(root) {
  root.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-base-form]");
    if (!form) return;
    event.preventDefault();
    visit({ base: form.elements.base.value.trim() || null });
  });
  root.addEventListener("change", ({ target }) => {
    if (target.form?.matches("[data-base-form]")) target.form.requestSubmit();
  });
}
