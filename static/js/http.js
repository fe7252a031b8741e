/* Reads from our own server. Pages are no-store, so bodies and ETags are held here. */
const MAX_KEPT = 64;
const kept = new Map();

export class HttpError extends Error {
  constructor(message, details) {
    super(message);
    Object.assign(this, { status: 0, code: "network", requestId: "", retryAfter: 0 }, details);
  }
}

/** Fetch a URL; answers {body, changed}: changed is false when the server said 304. Answers of
    one slot replace each other, so that large ones are not all held. With `news`, the request says
    what is held of the same URL, and the answer may be what is new. */
export async function get(url, { signal, as = "json", slot = url, news = null } = {}) {
  const held = kept.get(slot);
  const known = held?.url === url ? held : null;
  const headers = { Accept: as === "json" ? "application/json" : "text/html" };
  if (known) headers["If-None-Match"] = known.etag;
  if (known && news) headers["X-Held"] = news.describeHeld(known.body);
  const response = await request(url, { headers, signal });
  if (response.status === 304 && known) return { body: known.body, changed: false };
  if (!response.ok) throw await readError(response);
  if (response.redirected) throw new HttpError("Signed out; sign in again.", { status: 401 });
  const answer = as === "json" ? await response.json() : await response.text();
  const body = news ? news.joinHeld(known?.body, answer) : answer;
  keep(slot, url, response.headers.get("ETag"), body);
  return { body, changed: true };
}

async function request(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    document.dispatchEvent(new CustomEvent("unanswered")); /* poll.js: read all of it again */
    throw new HttpError("The server does not answer.");
  }
}

async function readError(response) {
  const details = {
    status: response.status,
    code: `http_${response.status}`,
    retryAfter: Number(response.headers.get("Retry-After")) || 0,
  };
  let message = `The server answered ${response.status}.`;
  if (response.headers.get("Content-Type")?.includes("json")) {
    const { error } = await response.json();
    message = error?.message ?? message;
    details.code = error?.code ?? details.code;
    details.requestId = error?.id ?? "";
  }
  return new HttpError(message, details);
}

function keep(slot, url, etag, body) {
  kept.delete(slot);
  if (!etag) return;
  kept.set(slot, { url, etag, body });
  if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value);
}
