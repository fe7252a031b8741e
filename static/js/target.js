/* An address that names a closed part of the page, such as a verdict, opens it. */
function openTarget(root) {
  const name = decodeURIComponent(location.hash.slice(1));
  const part = name ? root.getElementById(name) : null;
  if (!(part instanceof HTMLDetailsElement)) return;
  part.open = true;
  part.scrollIntoView({ block: "start" });
}

export function mount(root) {
  openTarget(root);
  addEventListener("hashchange", () => openTarget(root));
}
