/* Copy buttons: data-copy names what to copy by selector, or "" for the neighbouring code. */
const SHOWN_MS = 1600;

function findText(button) {
  const selector = button.dataset.copy;
  const source = selector
    ? document.querySelector(selector)
    : button.parentElement.querySelector("code, pre");
  return source?.textContent.trim() ?? "";
}

async function copy(button) {
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  try {
    await navigator.clipboard.writeText(findText(button));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy";
  }
  setTimeout(() => {
    button.textContent = label;
  }, SHOWN_MS);
}

export function mount(root) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
}
