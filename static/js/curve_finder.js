/* Which curve is near the pointer: the known points of each, looked up by bisection. */
const NEAR_PX = 12;

function findKnown(values) {
  const known = [];
  for (let place = 0; place < values.length; place += 1) {
    if (typeof values[place] === "number") known.push(place);
  }
  return known;
}

/** The number of known places that are at or before a column. */
function countUpTo(known, column) {
  let [low, high] = [0, known.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (known[middle] <= column) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class CurveFinder {
  constructor(x, lines) {
    this.x = x;
    this.lines = lines;
    this.known = lines.map(({ values }) => findKnown(values));
  }

  /** First and last x that any curve has; null where there is no point. */
  get extent() {
    const firsts = this.known.flatMap((known) => (known.length ? [known[0]] : []));
    const lasts = this.known.flatMap((known) => (known.length ? [known.at(-1)] : []));
    if (firsts.length === 0) return null;
    const [first, last] = [firsts, lasts].map((all, isLast) =>
      all.reduce((a, b) => (isLast ? Math.max(a, b) : Math.min(a, b))),
    );
    return [this.x[first], this.x[last]];
  }

  get yRange() {
    let [low, high] = [Infinity, -Infinity];
    for (const { raw, values, area } of this.lines) {
      for (const column of [raw, values, ...(area ?? [])]) {
        for (const value of column) {
          if (typeof value !== "number") continue;
          if (value < low) low = value;
          if (value > high) high = value;
        }
      }
    }
    return low <= high ? [low, high] : null;
  }

  /** The curve whose drawn line is nearest in y at the pointer's x, within reach. */
  findNearest(plot, left, top) {
    const column = plot.posToIdx(left);
    const at = plot.posToVal(left, "x");
    let best = null;
    let gap = NEAR_PX;
    this.lines.forEach((line, place) => {
      const y = this.heightAt(plot, place, column, at);
      if (y === null || Math.abs(y - top) > gap) return;
      gap = Math.abs(y - top);
      best = line;
    });
    return best && { ...best, place: this.lines.indexOf(best) };
  }

  /** Where a line passes at x, in pixels; beyond its ends only near its end point. */
  heightAt(plot, place, column, at) {
    const known = this.known[place];
    const { values } = this.lines[place];
    const after = countUpTo(known, column);
    const [before, next] = [known[after - 1], known[after]];
    const [left, right] = this.x[before] > at ? [known[after - 2], before] : [before, next];
    const pixel = (point) => plot.valToPos(values[point], "y");
    if (left === undefined && right === undefined) return null;
    if (left === undefined || right === undefined) {
      const end = left ?? right;
      const away = Math.abs(plot.valToPos(this.x[end], "x") - plot.valToPos(at, "x"));
      return away <= NEAR_PX ? pixel(end) : null;
    }
    const [from, to] = [this.x[left], this.x[right]];
    const share = to > from ? (at - from) / (to - from) : 0;
    return pixel(left) + (pixel(right) - pixel(left)) * share;
  }

  /** The last known value of a line at or before a column; undefined where there is none. */
  valueAt(place, column) {
    const known = this.known[place];
    const at = known[Math.max(0, countUpTo(known, column) - 1)];
    return at === undefined ? undefined : { column: at, value: this.lines[place].values[at] };
  }
}
