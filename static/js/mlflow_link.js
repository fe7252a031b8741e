/* MLflow's client prints /#/experiments/<id>/runs/<id> after a run: it leads to the run's page. */
const RUN = /^#\/experiments\/[\w-]+\/runs\/([\w-]{1,64})/;

function follow(base) {
  const found = RUN.exec(location.hash);
  if (found) location.replace(new URL(found[1], base));
}

export function mount(root) {
  const { mlflowRun } = root.querySelector("[data-mlflow-run]").dataset;
  const base = new URL(mlflowRun, location.href);
  follow(base);
  addEventListener("hashchange", () => follow(base)); // typed on the page that is open already
}
