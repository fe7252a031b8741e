/* Light and dark: the switch in the header, the colours that JS needs, swatches in tables. */
import { colourOf } from "./palette.js";

const media = matchMedia("(prefers-color-scheme: dark)");
let isPrinting = false;

export function isDark() {
  if (isPrinting) return false;
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : media.matches;
}

export const isOnPaper = () => isPrinting;

/** Read tokens of tokens.css as the colours that hold now. */
export function readTokens(...names) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const colours = names.map((name) => {
    probe.style.color = `var(--${name})`;
    return style.color;
  });
  probe.remove();
  return colours;
}

export function paintSwatches(root) {
  for (const swatch of root.querySelectorAll("[data-tone]")) {
    const colour = colourOf(JSON.parse(swatch.dataset.tone), isDark());
    if (colour) swatch.style.setProperty("--swatch", colour);
  }
}

function announceTheme() {
  document.documentElement.dataset.themeShown = isDark() ? "dark" : "light";
  const name = isDark() ? "Switch to the light theme" : "Switch to the dark theme";
  for (const button of document.querySelectorAll("[data-theme-switch]")) {
    button.setAttribute("aria-label", name);
    button.title = name;
  }
  paintSwatches(document);
  document.dispatchEvent(new CustomEvent("themechange", { detail: { dark: isDark() } }));
}

function switchTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  announceTheme();
}

/** Paper is light, charts included. */
function setPrinting(value) {
  isPrinting = value;
  document.documentElement.toggleAttribute("data-printing", value);
  announceTheme();
}

export function mount(root) {
  root.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) switchTheme();
  });
  root.addEventListener("morphed", () => paintSwatches(document));
  media.addEventListener("change", announceTheme);
  addEventListener("beforeprint", () => setPrinting(true));
  addEventListener("afterprint", () => setPrinting(false));
  announceTheme();
}
