/* What happened at a step: a hairline with a flag at its head, so that the word "warn" stands on the
   curve where it began. Colour and shape both tell severities apart. */
import { readTokens } from "./theme.js";

const TONES = { critical: "bad", warn: "warn", watch: "accent" };
const ARM = 5;

/** The flags of a chart: those of its metric, and those of all; x is where its axis puts the step. */
export function placeFlags(marks, { metric, at, x_axis: axis }) {
  const here = marks.filter(({ metrics }) => metrics.length === 0 || metrics.includes(metric));
  return here
    .map((mark) => ({ ...mark, x: axis === "step" ? mark.step : (at ?? {})[mark.step] }))
    .filter(({ x }) => typeof x === "number");
}

function drawHead(context, tone, x, top) {
  const arm = ARM * devicePixelRatio;
  context.beginPath();
  if (tone === "critical") {
    context.rect(x - arm, top, 2 * arm, 2 * arm);
  } else if (tone === "warn") {
    context.moveTo(x, top + 2 * arm);
    context.lineTo(x - arm, top);
    context.lineTo(x + arm, top);
  } else {
    context.arc(x, top + arm, arm * 0.8, 0, 2 * Math.PI);
  }
  context.fill();
}

export function drawFlags(chart, flags) {
  if (!flags.length) return;
  const { ctx: context, bbox } = chart;
  const [bad, warn, accent, ink3] = readTokens("bad", "warn", "accent", "ink3");
  const colours = { bad, warn, accent };
  context.save();
  context.lineWidth = devicePixelRatio;
  for (const { x, tone } of flags) {
    const place = chart.valToPos(x, "x", true);
    if (place < bbox.left - 1 || place > bbox.left + bbox.width + 1) continue;
    const colour = colours[TONES[tone]] ?? ink3;
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    context.beginPath();
    context.moveTo(place, bbox.top);
    context.lineTo(place, bbox.top + bbox.height);
    context.stroke();
    context.setLineDash([]);
    drawHead(context, tone, place, bbox.top);
  }
  context.restore();
}
