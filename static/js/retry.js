/* What stands below a chart that could not be drawn: why, and a button that tries again. */
export function offerRetry(foot, { message, code, requestId }) {
  const retry = document.createElement("button");
  Object.assign(retry, { type: "button", className: "button small", textContent: "Retry" });
  retry.dataset.retry = "";
  foot.replaceChildren(`${message} ${code} ${requestId} `, retry);
}
