/* What a line cannot show: crosses for non-finite values, triangles for values a log axis lacks. */
const SIZE = 4;

function strokeCross(context, x, y, [ink, casing]) {
  for (const [colour, width] of [[casing, 5], [ink, 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * devicePixelRatio;
    context.beginPath();
    const arm = SIZE * devicePixelRatio;
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x + arm, y - arm);
    context.lineTo(x - arm, y + arm);
    context.stroke();
  }
}

function fillTriangle(context, x, y, colour) {
  const arm = 5 * devicePixelRatio;
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x - arm, y - arm * 1.5);
  context.lineTo(x + arm, y - arm * 1.5);
  context.lineTo(x, y);
  context.fill();
}

export function drawMarks(chart, marks, series, [, , , bad, panel, warn]) {
  const { ctx: context, bbox } = chart;
  const bottom = bbox.top + bbox.height;
  context.save();
  for (const mark of marks) {
    const x = chart.valToPos(mark.x, "x", true);
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
    const isPlaced = typeof mark.y === "number";
    const y = isPlaced ? chart.valToPos(mark.y, "y", true) : bottom - 6 * devicePixelRatio;
    strokeCross(context, x, Math.min(bottom, Math.max(bbox.top, y)), [bad, panel]);
  }
  if (series.some((item) => item.nonpositive > 0)) {
    fillTriangle(context, bbox.left + 10 * devicePixelRatio, bottom, warn);
  }
  context.restore();
}
