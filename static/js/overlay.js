/* Curves above a dimmed chart: drawn on a canvas of its own, so that hovering among a thousand
   curves redraws one. */
export const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];

const WIDTH = 2.2;

export class Overlay {
  constructor(chart) {
    this.chart = chart;
    this.canvas = null; // until something is lifted: an empty canvas is rastered as well
  }

  makeCanvas() {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "overlay";
    this.chart.plot.over.prepend(this.canvas);
  }

  draw() {
    const { lifted, plot } = this.chart;
    const isDim = Boolean(lifted?.length);
    plot.over.dataset.dim = String(isDim);
    if (!isDim && !this.canvas) return;
    if (!this.canvas) this.makeCanvas();
    const { clientWidth: width, clientHeight: height } = plot.over;
    const scale = devicePixelRatio;
    if (this.canvas.width !== width * scale || this.canvas.height !== height * scale) {
      this.canvas.width = width * scale;
      this.canvas.height = height * scale;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    for (const { line, fewer, main } of lifted ?? []) {
      for (const values of [fewer, main]) if (values) this.trace(context, line, values);
    }
  }

  trace(context, line, values) {
    const { plot } = this.chart;
    const [x] = plot.data;
    const { min, max } = plot.scales.x;
    context.beginPath();
    let isDown = false;
    for (let place = 0; place < x.length; place += 1) {
      const value = values[place];
      if (value === null) isDown = false;
      if (typeof value !== "number" || x[place] < min || x[place] > max) continue;
      const [left, top] = [plot.valToPos(x[place], "x"), plot.valToPos(value, "y")];
      if (isDown) context.lineTo(left, top);
      else context.moveTo(left, top);
      isDown = true;
    }
    context.strokeStyle = this.chart.colourOfLine(line);
    context.lineWidth = WIDTH;
    context.lineJoin = "round";
    context.setLineDash(DASHES[line.dash] ?? DASHES.at(-1));
    context.stroke();
  }
}
