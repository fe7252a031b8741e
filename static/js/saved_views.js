/* The menu of saved views: which of them is shown, and forms that save what the address says. */
import { format, parse, readState } from "./state.js";

const NOT_SAVED = ["v", "p"]; // where one stands, not what is shown; `all` is kept

function describe(state) {
  const kept = { ...state };
  for (const key of NOT_SAVED) if (kept[key] !== "all") delete kept[key];
  return format(kept);
}

class ViewsMenu {
  constructor(menu) {
    this.menu = menu;
    menu.addEventListener("toggle", () => this.show());
    menu.addEventListener("submit", ({ target }) => this.fill(target));
    for (const name of ["morphed", "refresh"]) document.addEventListener(name, () => this.show());
    addEventListener("popstate", () => this.show());
    this.show();
  }

  /** Name the view that the page shows, and mark it in the list. */
  show() {
    const here = describe(readState());
    let name = "";
    for (const link of this.menu.querySelectorAll("[data-view-query]")) {
      const isShown = describe(parse(link.dataset.viewQuery)) === here;
      if (isShown) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      if (isShown) name ||= link.querySelector(".view-name").textContent;
    }
    const share = document.querySelector("[data-share-view]");
    if (share) {
      const url = new URL(share.href);
      url.searchParams.set("id", this.menu.dataset.views + here);
      share.href = url.pathname + url.search;
    }
    this.menu.querySelector("[data-views-label]").textContent = name ? `View: ${name}` : "Views";
  }

  fill(form) {
    if (form.elements.query) form.elements.query.value = describe(readState());
  }
}

export function mount(root) {
  for (const menu of root.querySelectorAll("[data-views]")) new ViewsMenu(menu);
}
