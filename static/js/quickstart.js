/* The first minutes: the snippets take the token and project that are typed; the page turns green
   with the first point. */
import { announce } from "./announce.js";
import { formatCount } from "./format.js";

const PROJECT = /^[-\w]{1,64}$/;

class Snippets {
  constructor(root) {
    this.codes = [...root.querySelectorAll("[data-snippet]")];
    this.written = this.codes.map((code) => code.textContent);
    this.project = root.querySelector("[data-snippet-project]");
    this.token = root.querySelector("[data-snippet-token]");
    this.before = { project: this.project.value, token: this.codes[0].closest("main").dataset.token };
    for (const field of [this.project, this.token]) field.addEventListener("input", () => this.fill());
  }

  fill() {
    const project = PROJECT.test(this.project.value) ? this.project.value : this.before.project;
    const token = this.token.value.trim() || this.before.token;
    this.codes.forEach((code, place) => {
      code.textContent = this.written[place]
        .replaceAll(this.before.token, () => token)
        .replaceAll(`"${this.before.project}"`, () => `"${project}"`)
        .replaceAll(`project=${this.before.project}`, () => `project=${project}`);
    });
  }
}

function show(root, run) {
  const arrival = root.querySelector("[data-arrival]");
  if (!run) return;
  const steps = run.last_step === null ? "" : ` up to step ${formatCount(run.last_step)}`;
  const text = `Your first point is here: run ${run.name} in ${run.project}${steps}, ${run.state}.`;
  arrival.dataset.state = "arrived";
  arrival.querySelector("[data-arrival-text]").textContent = text;
  const link = arrival.querySelector("[data-arrival-link]");
  link.href = run.url;
  link.hidden = false;
  announce(text);
}

function showRefusal(root, refusal) {
  const notice = root.querySelector("[data-refusal]");
  for (const part of ["token", "code", "message"]) {
    notice.querySelector(`[data-refusal-${part}]`).textContent = refusal?.[part] ?? "";
  }
  notice.hidden = !refusal;
}

export function mount(root) {
  new Snippets(root);
  document.addEventListener("revision", ({ detail }) => {
    show(root, detail.run);
    showRefusal(root, detail.refusal);
  });
}
