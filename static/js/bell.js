/* The bell: its count follows the server, and a followed alert counts as read. */
import { announce } from "./announce.js";
import { get } from "./http.js";

const EVERY_MS = 30_000;

function show(bell, unread) {
  const badge = bell.querySelector("[data-bell-count]");
  const text = unread > 99 ? "99+" : String(unread);
  if (badge.textContent === text) return;
  const isMore = unread > Number.parseInt(badge.textContent, 10);
  badge.textContent = text;
  badge.hidden = unread === 0;
  bell.setAttribute("aria-label", `Alerts: ${unread} unread`);
  if (isMore) announce(`${unread} unread alerts`);
}

async function ask(bell) {
  if (document.hidden) return;
  try {
    const { body } = await get(bell.dataset.bell);
    show(bell, body.unread);
  } catch {
    /* The count stays as it was; the page's own pill says what is wrong. */
  }
}

/** Tell the server that an alert was opened; the browser sends it even as the page goes away. */
function note(link) {
  const form = link.closest("[data-alert]")?.querySelector("form[data-mark-read]");
  if (!form) return;
  fetch(form.action, { method: "POST", body: new FormData(form), keepalive: true, redirect: "manual" });
}

export function mount(root) {
  const bell = root.querySelector("[data-bell]");
  setInterval(() => ask(bell), EVERY_MS);
  document.addEventListener("visibilitychange", () => ask(bell));
  for (const kind of ["click", "auxclick"]) {
    root.addEventListener(kind, (event) => {
      const link = event.target.closest("[data-alert] a[data-evidence]");
      if (link) note(link);
    });
  }
}
