/* Parts of the page that follow the data: the page is read again and they are morphed to it. */
import { announce } from "./announce.js";
import { get } from "./http.js";
import { morph } from "./morph.js";
import { isConcerned } from "./poll.js";

let isReading = false;
let isWanted = false;

async function refresh() {
  if (isReading) {
    isWanted = true;
    return;
  }
  isReading = true;
  try {
    const { body } = await get(location.pathname + location.search, { as: "html" });
    const text = body.slice(body.indexOf("<body")); /* its head holds another response's nonce */
    apply(new DOMParser().parseFromString(text, "text/html"));
  } catch {
    /* The pill already says that the server does not answer; the old content stays. */
  } finally {
    isReading = false;
    if (isWanted) {
      isWanted = false;
      refresh();
    }
  }
}

function apply(fresh) {
  const main = fresh.querySelector("[data-revision-url]");
  document.querySelector("[data-revision-url]").dataset.active = main?.dataset.active ?? "false";
  for (const region of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(region.id);
    if (!newer) continue;
    const [before, after] = [Number(region.dataset.count), Number(newer.dataset.count)];
    morph(region, newer);
    if (after > before) announce(`${after - before} new ${region.dataset.noun ?? "rows"}`);
  }
  document.dispatchEvent(new CustomEvent("morphed"));
}

export function mount(root) {
  if (!root.querySelector("[data-live]")) return;
  document.addEventListener("revision", ({ detail }) => {
    const regions = [...root.querySelectorAll("[data-live]")];
    if (regions.some((region) => isConcerned(region, detail.moved))) refresh();
  });
  document.addEventListener("refresh", refresh);
}
