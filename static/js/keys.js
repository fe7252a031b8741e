/* Keys of every page; inactive while typing. */
const PAUSE_MS = 900;
let pending = "";
let pendingTimer = 0;

const isTyping = (target) =>
  target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.nodeName);
const isCheck = (target) => target.type === "checkbox" || target.type === "radio";

function go(section) {
  const link = document.querySelector(`[data-go="${section}"]`);
  if (link) location.assign(link.href);
  return Boolean(link);
}

function press(selector) {
  const element = document.querySelector(selector);
  element?.click();
  return Boolean(element);
}

function focusFilter() {
  const field = document.querySelector("[data-filter]");
  field?.focus();
  return Boolean(field);
}

function openKeys() {
  document.querySelector("#keys")?.showModal();
  return true;
}

function closeMenus() {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const isInside = menu.contains(document.activeElement);
    menu.open = false;
    if (isInside) menu.querySelector("summary").focus();
  }
  return false;
}

const ACTIONS = new Map([
  ["/", focusFilter],
  ["?", openKeys],
  ["g p", () => go("projects")],
  ["g r", () => go("runs")],
  ["g s", () => go("studies")],
  ["c", () => press("[data-compare]")],
  ["m", () => press("[data-make-study]")],
  ["g e", () => go("explore")],
  ["l", () => press("[data-log-y]")],
  ["t", () => press("[data-tip-mode]") || press("[data-as-table]")],
  ["e", () => press("figure:hover [data-export-first]") || press("[data-export-first], [data-selection-bar]:not([hidden]) [data-export]")],
  ["Escape", closeMenus],
]);

function handle(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) && !isCheck(event.target)) return;
  const stroke = pending ? `${pending} ${event.key}` : event.key;
  clearTimeout(pendingTimer);
  pending = "";
  if (event.key === "g" && stroke === "g") {
    pending = "g";
    pendingTimer = setTimeout(() => {
      pending = "";
    }, PAUSE_MS);
    return;
  }
  if (ACTIONS.get(stroke)?.()) event.preventDefault();
}

export function mount(root) {
  root.addEventListener("keydown", handle);
  root.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys-open]")) openKeys();
    if (!event.target.closest("details.menu")) closeMenus();
  });
}
