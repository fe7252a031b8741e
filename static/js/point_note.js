/* A click on a curve offers to comment on that step; the form below knows what it is about then. */
import { formatCount } from "./format.js";

class PointNote {
  constructor(form) {
    this.form = form;
    this.offer = document.createElement("button");
    this.offer.type = "button";
    this.offer.className = "button small point-note";
    this.offer.addEventListener("click", () => this.accept());
    document.addEventListener("pointpicked", (event) => this.show(event.target, event.detail));
    document.addEventListener("pointerdown", ({ target }) => {
      if (target !== this.offer) this.offer.remove();
    });
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.offer.remove();
    });
  }

  show(figure, { step, left }) {
    this.point = { metric: figure.dataset.metric, step };
    this.offer.textContent = `Comment on step ${formatCount(step)}`;
    const place = figure.querySelector(".plot");
    const over = place.querySelector(".u-over");
    const isRight = left > over.clientWidth / 2;
    const offset = over.offsetLeft + left;
    this.offer.style.left = isRight ? "" : `${offset}px`;
    this.offer.style.right = isRight ? `${place.clientWidth - offset}px` : "";
    place.append(this.offer);
  }

  accept() {
    const { metric, step, body } = this.form.elements;
    metric.value = this.point.metric;
    step.value = this.point.step;
    metric.closest("details").open = true;
    this.offer.remove();
    body.focus();
    body.scrollIntoView({ block: "center" });
  }
}

export function mount(root) {
  new PointNote(root.querySelector("[data-comment-form]"));
}
