/* One polite live region for the whole page, at most one sentence every ten seconds. */
const PAUSE_MS = 10_000;
let last = 0;
let waiting = null;

export function announce(sentence) {
  waiting = sentence;
  const wait = Math.max(0, last + PAUSE_MS - Date.now());
  setTimeout(say, wait);
}

function say() {
  const region = document.querySelector("[data-announcer]");
  if (waiting === null || !region) return;
  region.textContent = waiting;
  waiting = null;
  last = Date.now();
}
