/* The head of a study: its text in two lines or whole, and its current tab in sight. */
function toggle(about, button) {
  const isOpen = about.toggleAttribute("data-open");
  button.setAttribute("aria-expanded", String(isOpen));
  button.textContent = isOpen ? "less" : "more";
}

function showTab(tabs) {
  const current = tabs.querySelector("[aria-current=page]");
  if (!current) return;
  const middle = current.offsetLeft - tabs.offsetLeft + current.offsetWidth / 2;
  tabs.scrollLeft = middle - tabs.clientWidth / 2;
}

export function mount(root) {
  const about = root.querySelector("[data-about]");
  const button = about?.querySelector("[data-about-more]");
  button?.addEventListener("click", () => toggle(about, button));
  for (const tabs of root.querySelectorAll("[data-tabs]")) showTab(tabs);
}
