/* Colours of data: the same numbers as the server's palette, light and dark. Pure. */
const VIRIDIS = [
  "#440154", "#482878", "#3e4a89", "#31688e", "#26828e",
  "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725",
];
const CATEGORIES = {
  light: ["#0072B2", "#C44E00", "#009E73", "#8A2C6B", "#B08900", "#222222"],
  dark: ["#56B4E9", "#FF8C42", "#2FBF95", "#D98CC8", "#F0E442", "#E8ECF1"],
};
const ROLES = {
  light: {
    ink: "#14181f", ink2: "#4a5361", ink3: "#626c7a", line: "#dfe3e8", grid: "#eceff2",
    panel: "#ffffff", accent: "#0b5cad", ok: "#15713f", warn: "#9a5b00", bad: "#b42318",
  },
  dark: {
    ink: "#e8ecf1", ink2: "#b3bcc8", ink3: "#8a94a3", line: "#2b333d", grid: "#222932",
    panel: "#161b22", accent: "#6cb2f5", ok: "#5cc98f", warn: "#f0b45a", bad: "#ff8a80",
  },
};

const channels = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));

export function viridis(t) {
  const at = Math.min(1, Math.max(0, t)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(at));
  const [from, to] = [channels(VIRIDIS[low]), channels(VIRIDIS[low + 1])];
  const mixed = from.map((value, i) => Math.round(value + (to[i] - value) * (at - low)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** u = 0 is the smallest size, 1 the largest; the largest has the strongest contrast. */
export function sizeColour(u, dark) {
  return dark ? viridis(0.36 + 0.64 * u) : viridis(0.72 * (1 - u));
}

export function categoryColour(index, dark) {
  const colours = dark ? CATEGORIES.dark : CATEGORIES.light;
  return colours[index % colours.length];
}

export function roleColour(role, dark) {
  return (dark ? ROLES.dark : ROLES.light)[role] ?? null;
}

/** Colour of a tone such as {"size": 0.83}, {"cat": 2} or {"role": "ink"}. */
export function colourOf(tone, dark) {
  if (!tone) return null;
  if (typeof tone.size === "number") return sizeColour(tone.size, dark);
  if (typeof tone.cat === "number") return categoryColour(tone.cat, dark);
  return tone.role ? roleColour(tone.role, dark) : null;
}

/** The same colour with an opacity, as rgb(). */
export function withAlpha(hex, alpha) {
  const [red, green, blue] = channels(hex);
  return `rgba(${red},${green},${blue},${alpha})`;
}
