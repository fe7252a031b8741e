/* State of the view in the URL: known keys in one order, lists with escaped commas. Pure but for
   readState and writeState. */
export const ORDER = [
  "tab", "m", "f", "q", "state", "color", "dash", "facet", "row", "variant", "c", "x",
  "xs", "ys", "xr", "yr", "y", "sm", "agg", "area", "sel", "hl", "old", "base", "law", "ho", "fit", "version",
  "by", "open", "s", "p", "cols", "arch", "ref", "v",
];
const LISTS = new Set(["m", "facet", "sel", "hl", "by", "open", "cols", "xr", "yr"]);

export function splitList(text) {
  const items = [];
  let item = "";
  for (let place = 0; place < text.length; place += 1) {
    const sign = text[place];
    if (sign === "\\" && place + 1 < text.length) {
      place += 1;
      item += text[place];
    } else if (sign === ",") {
      items.push(item);
      item = "";
    } else {
      item += sign;
    }
  }
  items.push(item);
  return items;
}

export function joinList(items) {
  return items.map((item) => String(item).replaceAll(/[\\,]/g, "\\$&")).join(",");
}

export function parse(search) {
  const state = {};
  for (const [key, value] of new URLSearchParams(search)) {
    if (ORDER.includes(key)) state[key] = LISTS.has(key) ? splitList(value) : value;
  }
  return state;
}

export function format(state) {
  const pairs = [];
  for (const key of ORDER) {
    const value = state[key];
    if (value === undefined || value === null || value === "" || value.length === 0) continue;
    const text = LISTS.has(key) ? joinList(value) : String(value);
    pairs.push(`${key}=${encodeURIComponent(text)}`);
  }
  return pairs.length ? `?${pairs.join("&")}` : "";
}

export const readState = () => parse(location.search);

/** Change some keys (null removes one); a discrete change gets its own history entry. */
export function writeState(changes, { push = false } = {}) {
  const search = format({ ...readState(), ...changes });
  if (search === location.search) return;
  const url = location.pathname + search + location.hash;
  if (push) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}

/** Show another view of this page: a new entry of the history, and the live parts follow. */
export function visit(changes) {
  writeState(changes, { push: true });
  document.dispatchEvent(new CustomEvent("refresh"));
}
