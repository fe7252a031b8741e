/* Numbers and ages as text. Pure. */
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

export function formatAge(since, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - since) / 1000));
  if (!Number.isFinite(seconds)) return "";
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)} h`;
  return `${Math.floor(seconds / DAY)} d`;
}

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export function formatPower(exponent) {
  return `10${[...String(exponent)].map((sign) => SUPERSCRIPTS[sign]).join("")}`;
}

/** Four significant digits; powers of ten beyond 10⁵ and below 10⁻⁴. */
export function formatNumber(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e6 || size < 1e-4)) {
    const [digits, exponent] = value.toExponential(2).split("e").map(Number);
    return digits === 1 ? formatPower(exponent) : `${digits}·${formatPower(exponent)}`;
  }
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

export function formatCount(value) {
  return Number(value).toLocaleString("en-US");
}
