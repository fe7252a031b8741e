/* The pill that says how fresh the page is, and ages that keep counting. */
import { formatAge } from "./format.js";

const AGE_MS = 5000;
const TEXTS = {
  live: "live",
  paused: "paused",
  reconnecting: "reconnecting",
  fitting: "fitting",
  error: "signed out: reload to sign in",
};

function describe(state) {
  const fitted = document.querySelector("[data-fitted-at]")?.dataset.fittedAt;
  if (state === "live" && fitted) return `live · fit ${formatAge(Date.parse(fitted))} ago`;
  return TEXTS[state];
}

export function setPill(state) {
  for (const pill of document.querySelectorAll("[data-live-pill]")) {
    pill.hidden = false;
    pill.className = `pill ${state}`;
    pill.dataset.state = state;
    const text = describe(state);
    if (pill.textContent !== text) pill.textContent = text;
  }
}

function refreshAges() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const text = `${formatAge(Date.parse(time.dateTime))} ${time.dataset.age}`.trim();
    if (time.textContent !== text) time.textContent = text;
  }
}

export function mount() {
  refreshAges();
  setInterval(refreshAges, AGE_MS);
  document.addEventListener("morphed", refreshAges);
}
