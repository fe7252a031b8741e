/* The text of a study: two lines of it, the whole on demand. */
function toggle(about, button) {
  const isOpen = about.toggleAttribute("data-open");
  button.setAttribute("aria-expanded", String(isOpen));
  button.textContent = isOpen ? "less" : "more";
}

export function mount(root) {
  const about = root.querySelector("[data-about]");
  const button = about?.querySelector("[data-about-more]");
  button?.addEventListener("click", () => toggle(about, button));
}
