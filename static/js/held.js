/* What a page holds of its charts: it says so when it asks again, and puts what is new behind it. */
const SLOTS = 4;
const MAX_LETTERS = 6000; // of a header

export function describeHeld(body) {
  const text = body?.charts.map(({ held }) => held ?? "").join(",") ?? "";
  return text.length > 0 && text.length <= MAX_LETTERS ? text : "";
}

/** Put the rest of a curve behind what is held of it. */
function joinSeries(old, { from, ...rest }, slots) {
  const before = (places, at = (place) => place) => places.filter((place) => at(place) < from);
  return {
    ...rest,
    y: [...old.y.slice(0, from * slots), ...rest.y],
    breaks: [...before(old.breaks), ...rest.breaks],
    marks: [...before(old.marks, ([place]) => place), ...rest.marks],
    ...(rest.smooth ? { smooth: [...old.smooth.slice(0, from), ...rest.smooth] } : {}),
  };
}

function joinChart(old, { from, ...chart }) {
  if (from === undefined) return chart;
  const slots = chart.method === "raw" ? 1 : SLOTS;
  const x = chart.x ? { x: [...old.x.slice(0, from), ...chart.x] } : {};
  const series = Object.entries(chart.series).map(([key, one]) => [
    key,
    one.from === undefined ? one : joinSeries(old.series[key], one, slots),
  ]);
  return { ...chart, ...x, series: Object.fromEntries(series) };
}

/** The whole answer, from what is held and what the server sent. */
export function joinHeld(held, body) {
  return { ...body, charts: body.charts.map((chart, place) => joinChart(held?.charts[place], chart)) };
}
