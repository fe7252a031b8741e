/* The tooltip of a chart: step and value, or the bucket with its extremes. Text only. */
import { formatCount, formatNumber } from "./format.js";
import { describeAt, formatX } from "./payload.js";

const NEAR_PX = 8;

function line(text, className = "") {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = text;
  return element;
}

export class ChartTip {
  constructor(chart) {
    this.chart = chart;
    this.element = document.createElement("div");
    this.element.className = "chart-tip";
    this.element.hidden = true;
    chart.place.append(this.element);
  }

  show() {
    const { plot } = this.chart;
    const { idx, left, top } = plot.cursor;
    const isHere = left >= 0 && idx !== null && idx !== undefined;
    this.element.hidden = !isHere;
    if (!isHere) return;
    this.element.replaceChildren(...this.describe(idx, left));
    const offset = plot.over.offsetLeft + left;
    const isRight = left > plot.over.clientWidth / 2;
    this.element.style.left = isRight ? "" : `${offset + 12}px`;
    this.element.style.right = isRight ? `${this.chart.place.clientWidth - offset + 12}px` : "";
    this.element.style.top = `${Math.max(0, Math.min(top, plot.over.clientHeight - 44))}px`;
  }

  describe(column, left) {
    const { payload, series, marks, plot } = this.chart;
    const at = describeAt(payload, series[0], column);
    const lines = [];
    if (at.to === undefined) {
      lines.push(line(formatX(payload, at), "at"));
      if (typeof at.value === "number") lines.push(line(formatNumber(at.value)));
    } else {
      lines.push(line(formatX(payload, at), "at"));
      if (at.low !== null) lines.push(line(`min ${formatNumber(at.low)}, max ${formatNumber(at.high)}`));
    }
    for (const mark of marks) {
      const isNear = Math.abs(plot.valToPos(mark.x, "x") - left) < NEAR_PX;
      if (isNear) lines.push(line(`${formatCount(mark.count)} × ${mark.kind}`, "bad"));
    }
    for (const flag of this.chart.flags) {
      const isNear = Math.abs(plot.valToPos(flag.x, "x") - left) < NEAR_PX;
      if (isNear) lines.push(line(`${flag.tone}: ${flag.text}`, "flag"));
    }
    return lines;
  }
}
