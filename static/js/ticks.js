/* Ticks of uPlot axes: round values only, never the range's own end. Pure. */
import { formatNumber, formatPower } from "./format.js";

const STEPS = [1, 2, 2.5, 5, 10];
const FEW = 4;
const MANY_DECADES = 6;
const WITHIN = [
  [2.2, [1]],
  [0.9, [1, 2, 5]],
  [0.35, [1, 1.5, 2, 3, 4, 5, 7]],
];
const TOLERANCE = 1e-9;
const WIDE = 3.99; // decades from 1 where digits grow too many
const SHORTENED = 14.99;
const SMALL = -4;

export function linearSplits(low, high, count = FEW) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const unit = 10 ** Math.floor(Math.log10(span / count));
  const step = unit * STEPS.find((size) => span / (unit * size) <= count + 1);
  const splits = [];
  for (let place = Math.ceil(low / step - TOLERANCE); place * step <= high * (1 + TOLERANCE); place += 1) {
    splits.push(Number((place * step).toPrecision(12)));
  }
  return splits;
}

export function logSplits(low, high, count = FEW) {
  const decades = Math.log10(high / low);
  const [, mantissas] = WITHIN.find(([least]) => decades > least) ?? [0, null];
  if (!mantissas) return linearSplits(low, high, count);
  const every = decades > MANY_DECADES ? Math.ceil(decades / MANY_DECADES) : 1;
  const splits = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    if (power % every !== 0) continue;
    for (const mantissa of mantissas) {
      const value = Number((mantissa * 10 ** power).toPrecision(12));
      if (value >= low * (1 - TOLERANCE) && value <= high * (1 + TOLERANCE)) splits.push(value);
    }
  }
  return splits;
}

const exponentOf = (value) => Math.log10(Math.abs(value));
const isPowerOfTen = (value) =>
  value > 0 && Math.abs(exponentOf(value) - Math.round(exponentOf(value))) < TOLERANCE;

/** Texts of the ticks of one axis, all written the same way: 10², 10³, 10⁴ or 500, 1k, 10k, never
    1,000 beside 10⁴. Powers of ten stand on log axes only: on a linear one 10⁶ would stray. */
export function formatTicks(values, isLog) {
  const sizes = values.filter((value) => value !== 0).map(exponentOf);
  const isWide = sizes.some((size) => size > WIDE || size < -WIDE);
  if (isLog && isWide && values.every(isPowerOfTen)) {
    return values.map((value) => formatPower(Math.round(exponentOf(value))));
  }
  if (sizes.some((size) => size > SHORTENED || size < SMALL - TOLERANCE)) return values.map(formatScientific);
  return values.map(sizes.some((size) => size > WIDE) ? shorten : formatNumber);
}

/** 2·10⁻⁵, and a bare power where the digit would be 1. */
function formatScientific(value) {
  if (value === 0) return "0";
  const [digits, exponent] = value.toExponential(2).split("e");
  const power = formatPower(Number(exponent));
  return Number(digits) === 1 ? power : `${Number(digits)}·${power}`;
}

function shorten(value) {
  for (const [limit, suffix] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= limit) return `${Number((value / limit).toPrecision(4))}${suffix}`;
  }
  return formatNumber(value);
}
