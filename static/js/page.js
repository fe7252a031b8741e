/* Mounts what the page declares; heavy modules are fetched only by pages that need them. */
import { mount as mountCopy } from "./copy.js";
import { mount as mountKeys } from "./keys.js";
import { mount as mountLive } from "./live.js";
import { mount as mountPill } from "./pill.js";
import { mount as mountPoll } from "./poll.js";
import { mount as mountTheme } from "./theme.js";

/* What only some pages need: the part of the page that needs it, and the module. */
const LATE = [
  ["#tab-lr, [data-plot]", () => import("./figure.js")],
  ["[data-runs-form]", () => import("./runs_form.js")],
  ["[data-filter-form]", () => import("./filter.js")],
  ["[data-filter-form]", () => import("./key_menu.js")],
  ["[data-views]", () => import("./saved_views.js")],
  ["[data-base-form]", () => import("./config_diff.js")],
  ["[data-curves]", () => import("./curves.js")],
  ["[data-comment-form]", () => import("./point_note.js")],
  ["[data-members]", () => import("./mention.js")],
  ["[data-explore]", () => import("./explore.js")],
  ["[data-preview]", () => import("./preview.js")],
  ["[data-quickstart]", () => import("./quickstart.js")],
  ["details[id]", () => import("./target.js")],
  ["[data-tabs]", () => import("./study.js")],
  ["[data-mlflow-run]", () => import("./mlflow_link.js")],
  ["[data-bell]", () => import("./bell.js")],
];

for (const mount of [mountTheme, mountCopy, mountKeys, mountPill, mountLive]) {
  mount(document);
}
const wanted = LATE.filter(([part]) => document.querySelector(part));
const late = wanted.map(([, load]) => load().then((module) => module.mount(document)));
mountPoll(document);
Promise.allSettled(late).then(() => {
  document.documentElement.dataset.ready = "true";
});
