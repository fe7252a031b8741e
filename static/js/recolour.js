/* Figures arrive in the light colours; in the dark every known colour becomes its counterpart. Pure. */
import { categoryColour, colourOf, roleColour } from "./palette.js";

const ROLES = ["ink", "ink2", "ink3", "line", "grid", "panel", "accent", "ok", "warn", "bad"];
const DATA_KEYS = new Set(["x", "y", "z", "customdata", "text", "ticktext", "ids", "meta"]);
const DARK_ALPHA = new Map([[0.16, 0.22], [0.28, 0.35]]);
const RGBA = /^rgba?\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?:,\s*([\d.]+)\s*)?\)$/;

const hex = (red, green, blue) =>
  `#${[red, green, blue].map((value) => Number(value).toString(16).padStart(2, "0")).join("")}`;
const rgb = (colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));

function buildSwaps(data) {
  const swaps = new Map();
  for (let index = 0; index < 6; index += 1) {
    swaps.set(categoryColour(index, false).toLowerCase(), categoryColour(index, true));
  }
  for (const tone of data.flatMap(({ meta }) => [meta?.tone, ...(meta?.tones ?? [])])) {
    const light = colourOf(tone, false);
    if (light) swaps.set(light.toLowerCase(), colourOf(tone, true));
  }
  for (const role of ROLES) swaps.set(roleColour(role, false), roleColour(role, true));
  return swaps;
}

function swap(text, swaps) {
  const plain = swaps.get(text.toLowerCase());
  if (plain) return plain;
  const parts = RGBA.exec(text);
  if (!parts) return text;
  const [, red, green, blue, alpha = "1"] = parts;
  const dark = swaps.get(hex(red, green, blue));
  if (!dark) return text;
  return `rgba(${rgb(dark).join(",")},${DARK_ALPHA.get(Number(alpha)) ?? alpha})`;
}

function walk(value, swaps) {
  if (typeof value === "string") return swap(value, swaps);
  if (Array.isArray(value)) return value.map((item) => walk(item, swaps));
  if (value === null || typeof value !== "object") return value;
  const copy = {};
  for (const [key, item] of Object.entries(value)) {
    copy[key] = DATA_KEYS.has(key) ? item : walk(item, swaps);
  }
  return copy;
}

export function recolour({ data, layout }, dark) {
  if (!dark) return structuredClone({ data, layout });
  const swaps = buildSwaps(data);
  return { data: walk(data, swaps), layout: walk(layout, swaps) };
}
