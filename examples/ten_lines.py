"""The smallest script that logs a run: plain Python, nothing to install but the client."""

import scaledash

run = scaledash.init(project="first-steps", name="ten-lines", config={"lr": 0.3})
weight = 5.0
for step in range(1, 201):
    gradient = 2 * (weight - 1.0)
    weight -= run.config["lr"] * gradient / step
    run.log({"loss.train": (weight - 1.0) ** 2, "weight": weight}, step=step)
run.finish()
