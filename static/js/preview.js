/* The picture of a new share link: drawn here from what the link shows, then kept by the server. */
import { get } from "./http.js";
import { colourOf, roleColour } from "./palette.js";
import { buildX, buildY } from "./payload.js";
import { renderImage } from "./plot.js";
import { parse } from "./state.js";

const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** The first curve of a run's page as a figure, as the server writes those of studies. */
function buildCurve(payload, title) {
  const [series] = Object.values(payload.series);
  const line = { color: roleColour("accent", false), width: 2 };
  return {
    title: plain(`${title}: ${payload.metric}`),
    data: [{ x: buildX(payload), y: buildY(payload, series), mode: "lines", connectgaps: true, line }],
    layout: { xaxis: { title: { text: "step" } }, yaxis: { title: { text: plain(payload.metric) } } },
  };
}

/** The first chart of shared curves, in their colours and on the scales that were shared. */
function buildCurves(payload, metric, { xs, ys }) {
  const x = buildX(payload);
  const data = payload.lines.map(({ key, tone }) => {
    const line = { color: colourOf(tone, false) ?? roleColour("accent", false), width: 1.5 };
    return { x, y: buildY(payload, payload.series[key]), mode: "lines", connectgaps: true, line, showlegend: false };
  });
  const kind = (scale) => (scale === "log" ? "log" : "linear");
  const xaxis = { title: { text: plain(payload.x_axis) }, type: kind(xs) };
  return { title: plain(metric), data, layout: { xaxis, yaxis: { title: { text: plain(metric) }, type: kind(ys) } } };
}

async function readCurves({ dataset, firstMetric: metric }) {
  const [payload] = (await get(`${dataset.src}?metric=${encodeURIComponent(metric)}`)).body.charts;
  return payload?.points_total ? buildCurves(payload, metric, parse(dataset.fixed)) : null;
}

async function readFigure(address) {
  const { body } = await get(address, { as: "text" });
  const sheet = document.createElement("template"); // inert: none of its styles is even looked at
  sheet.innerHTML = body;
  const page = sheet.content;
  const plot = page.querySelector("[data-plot]");
  if (plot) return (await get(plot.dataset.src)).body;
  const explore = page.querySelector("[data-explore]");
  const firstMetric = explore?.querySelector("[data-metric]")?.dataset.metric;
  if (firstMetric) return readCurves({ dataset: explore.dataset, firstMetric });
  const curves = page.querySelector("[data-curves]");
  const metric = curves?.querySelector("[data-metric]")?.dataset.metric;
  if (!metric) return null;
  const query = new URLSearchParams({ m: metric });
  const [payload] = (await get(`${curves.dataset.src}?${query}`)).body.charts;
  return payload?.points_total ? buildCurve(payload, page.querySelector("title").textContent.split(" · ")[0]) : null;
}

async function send(form, picture) {
  const answer = await fetch(form.action, {
    method: "POST",
    body: picture,
    headers: { "Content-Type": "image/png", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
  });
  return answer.ok;
}

async function makePreview(form) {
  const figure = await readFigure(form.dataset.preview);
  if (!figure?.data?.length) return "none";
  const address = await renderImage(figure, "png");
  const picture = Uint8Array.from(atob(address.split(",")[1]), (sign) => sign.charCodeAt(0));
  return (await send(form, picture)) ? "kept" : "refused";
}

/** A link without a picture is as good as one with: whatever goes wrong here only leaves it out. */
export function mount(root) {
  for (const form of root.querySelectorAll("[data-preview]")) {
    makePreview(form).then(
      (state) => { form.dataset.state = state; },
      () => { form.dataset.state = "failed"; },
    );
  }
}
