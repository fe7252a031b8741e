/* The tooltip of many curves: the nearest one, or all of them by value. Text only. */
import { formatCount, formatNumber } from "./format.js";
import { formatX, describeAt } from "./payload.js";

const MOST_LINES = 14;
const ROOM_PX = 24;

function buildRow(text, className = "", swatch = null) {
  const row = document.createElement("div");
  row.className = className;
  if (swatch) {
    const dot = document.createElement("span");
    dot.className = "swatch";
    dot.style.setProperty("--swatch", swatch);
    row.append(dot);
  }
  row.append(text);
  return row;
}

export class ExploreTip {
  constructor(chart) {
    this.chart = chart;
    this.element = document.createElement("div");
    this.element.className = "chart-tip";
    this.element.hidden = true;
    chart.place.append(this.element);
  }

  hide() {
    this.element.hidden = true;
  }

  show(left, top) {
    const { plot, nearest } = this.chart;
    const column = plot.cursor.idx ?? plot.posToIdx(left);
    const rows = this.chart.listeners.showsAll() ? this.listAll(column) : this.describe(nearest, column);
    this.element.hidden = rows.length === 0;
    if (rows.length === 0) return;
    this.element.replaceChildren(...rows);
    const offset = plot.over.offsetLeft + left;
    const isRight = left > plot.over.clientWidth / 2;
    this.element.style.left = isRight ? "" : `${offset + 14}px`;
    this.element.style.right = isRight ? `${this.chart.place.clientWidth - offset + 14}px` : "";
    const most = this.chart.place.clientHeight - this.element.offsetHeight - 2;
    this.element.style.top = `${Math.max(0, Math.min(top - ROOM_PX, most))}px`;
  }

  describe(nearest, column) {
    if (!nearest) return [];
    const { payload, finder } = this.chart;
    const found = finder.valueAt(nearest.place, column);
    if (!found) return [];
    const rows = [buildRow(nearest.line.label, "name", this.chart.colourOfLine(nearest.line))];
    if (nearest.line.n_runs > 1) rows.push(buildRow(this.countRuns(nearest.line, found.column), "at"));
    const isFewer = nearest.fewer && nearest.main[found.column] === undefined;
    const at = describeAt(payload, isFewer ? { y: payload.fewer[nearest.line.key] } : nearest.series, found.column);
    rows.push(buildRow(formatX(payload, at), "at"));
    if (at.to === undefined || nearest.smooth) rows.push(buildRow(formatNumber(found.value)));
    if (at.to !== undefined && at.low !== null) {
      rows.push(buildRow(`min ${formatNumber(at.low)}, max ${formatNumber(at.high)}`));
    } else if (nearest.smooth && typeof at.value === "number") {
      rows.push(buildRow(`unsmoothed ${formatNumber(at.value)}`, "at"));
    }
    const nonfinite = (nearest.series.marks ?? []).reduce((sum, mark) => sum + mark[2], 0);
    if (nonfinite) rows.push(buildRow(`${formatCount(nonfinite)} not finite`, "bad"));
    return rows;
  }

  /** How many runs of a group an average is over, here. */
  countRuns({ key, n_runs: all }, column) {
    const { payload, plot } = this.chart;
    const counts = payload.groups?.[key].counts ?? [];
    const [, n] = counts.findLast(([from]) => from <= plot.data[0][column]) ?? [0, all];
    return n < all ? `${n} of ${all} runs have points here` : `${all} runs`;
  }

  listAll(column) {
    const { payload, finder, lines, nearest } = this.chart;
    const found = lines
      .map(({ line }, place) => ({ line, at: finder.valueAt(place, column) }))
      .filter(({ at }) => at !== undefined)
      .sort((a, b) => b.at.value - a.at.value);
    const at = describeAt(payload, { y: [] }, column);
    const shown = found.slice(0, MOST_LINES).map(({ line, at: { value } }) =>
      buildRow(
        `${formatNumber(value)}  ${line.label}`,
        line.key === nearest?.line.key ? "name" : "",
        this.chart.colourOfLine(line),
      ),
    );
    if (found.length > MOST_LINES) shown.push(buildRow(`and ${found.length - MOST_LINES} below`, "at"));
    return found.length ? [buildRow(formatX(payload, at), "at"), ...shown] : [];
  }
}
