/* Runs before the first paint, so that a stored theme never flashes the other one. */
(() => {
  const stored = localStorage.getItem("theme");
  const asked = new URLSearchParams(location.search).get("theme");
  const theme = asked ?? stored;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
