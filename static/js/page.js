/* Mounts what the page declares; heavy modules are fetched only by pages that need them. */
import { mount as mountCopy } from "./copy.js";
import { mount as mountKeys } from "./keys.js";
import { mount as mountLive } from "./live.js";
import { mount as mountPill } from "./pill.js";
import { mount as mountPoll } from "./poll.js";
import { mount as mountSelection } from "./selection.js";
import { mount as mountTable } from "./table.js";
import { mount as mountTheme } from "./theme.js";

for (const mount of [mountTheme, mountCopy, mountKeys, mountPill, mountLive, mountTable, mountSelection]) {
  mount(document);
}
if (document.querySelector("#tab-lr, [data-plot]")) {
  import("./figure.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-filter-form]")) {
  import("./filter.js").then((module) => module.mount(document));
  import("./key_menu.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-views]")) {
  import("./saved_views.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-base-form]")) {
  import("./config_diff.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-curves]")) {
  import("./curves.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-explore]")) {
  import("./explore.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-preview]")) {
  import("./preview.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-quickstart]")) {
  import("./quickstart.js").then((module) => module.mount(document));
}
if (document.querySelector("details[id]")) {
  import("./target.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-tabs]")) {
  import("./study.js").then((module) => module.mount(document));
}
if (document.querySelector("[data-bell]")) {
  import("./bell.js").then((module) => module.mount(document));
}
mountPoll(document);
document.documentElement.dataset.ready = "true";
