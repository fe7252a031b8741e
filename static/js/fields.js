/* What a project's runs can be filtered by; read when somebody is about to need it. */
import { get } from "./http.js";

const held = new Map();

/** Return the fields of a project; where they are too many to hold, those around a word. */
export async function readFields(url, word = "") {
  const whole = await read(url);
  if (!word || whole.total <= whole.items.length) return whole.items;
  const { items } = await read(`${url}?search=${encodeURIComponent(word)}`);
  return items;
}

function read(url) {
  if (!held.has(url)) {
    const reading = get(url).then(({ body }) => body);
    reading.catch(() => held.delete(url));
    held.set(url, reading);
  }
  return held.get(url).catch(() => ({ items: [], total: 0 }));
}
