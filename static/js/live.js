/* Parts of the page that follow the data: the page is read again and they are morphed to it. */
import { announce } from "./announce.js";
import { get } from "./http.js";
import { morph } from "./morph.js";
import { isConcerned } from "./poll.js";
import { offerRetry } from "./retry.js";

let isReading = false;
let following = null; /* what was asked for meanwhile */

/** Read the page again; `isAsked` where somebody waits for another view of it. */
async function refresh(isAsked) {
  if (isReading) {
    following = { isAsked: isAsked || Boolean(following?.isAsked) };
    return;
  }
  isReading = true;
  const main = document.querySelector("main");
  if (isAsked) main.setAttribute("aria-busy", "true");
  try {
    const { body } = await get(location.pathname + location.search, { as: "html" });
    const text = body.slice(body.indexOf("<body")); /* its head holds another response's nonce */
    apply(new DOMParser().parseFromString(text, "text/html"));
    main.querySelector("[data-failed]")?.remove();
  } catch (error) {
    /* Without an answer the pill says so; the old content stays. */
    if (isAsked && error.status) sayFailed(error, () => refresh(true));
  }
  isReading = false;
  const { isAsked: isAskedNext } = following ?? {};
  if (!isAskedNext) main.removeAttribute("aria-busy");
  if (following) {
    following = null;
    refresh(isAskedNext);
  }
}

/** Say above the data why something was not read, with a button that tries again. */
export function sayFailed(error, retry) {
  const main = document.querySelector("main");
  const note = main.querySelector("[data-failed]") ?? document.createElement("p");
  Object.assign(note, { className: "notice bad", role: "alert" });
  note.dataset.failed = "";
  offerRetry(note, error);
  note.querySelector("button").addEventListener("click", retry);
  main.querySelector("[data-live]").before(note);
}

function apply(fresh) {
  const main = fresh.querySelector("[data-revision-url]");
  document.querySelector("[data-revision-url]").dataset.active = main?.dataset.active ?? "false";
  for (const region of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(region.id);
    if (!newer) continue;
    const [before, after] = [Number(region.dataset.count), Number(newer.dataset.count)];
    morph(region, newer);
    if (after > before) announce(`${after - before} new ${region.dataset.noun ?? "rows"}`.replace(/^(1 .*)s$/, "$1"));
  }
  document.dispatchEvent(new CustomEvent("morphed"));
}

export function mount(root) {
  if (!root.querySelector("[data-live]")) return;
  document.addEventListener("revision", ({ detail }) => {
    const regions = [...root.querySelectorAll("[data-live]")];
    if (regions.some((region) => isConcerned(region, detail.moved))) refresh(false);
  });
  document.addEventListener("refresh", () => refresh(true));
}
