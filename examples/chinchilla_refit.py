"""Refit the Chinchilla data and compare with what was published.

Besiroglu et al. 2024 (epoch-research/analyzing-chinchilla) showed that the parametric fit of
Hoffmann et al. 2022 had stopped early. This script repeats their figure: the fitted exponents with
their intervals, and the tokens per parameter that follow at Chinchilla's own budget.

    python examples/chinchilla_refit.py DATA.csv

DATA.csv has the columns params, tokens, loss and, if there, excluded_by_epoch (1 = left out).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fitting.csv_fit import FitRequest, run_request
from fitting.fit_report import render_page, render_text
from fitting.maths.types import Fit


def main(path: Path) -> None:
    """Fit, print the comparison and write the figure beside the data's name."""
    mapping = {"n_params": "params", "n_tokens": "tokens"}
    where = "excluded_by_epoch == 0" if "excluded_by_epoch" in path.open().readline() else ""
    answer = run_request(
        FitRequest("chinchilla_parametric", path, mapping, "loss", where=where, replicas=4000)
    )
    print(render_text(answer))
    if not isinstance(answer.result, Fit):
        return
    print(f"\n{'':<24}{'here':>10}" + "".join(f"{p.label:>24}" for p in answer.law.published))
    for name, estimate in answer.result.params.items():
        known = "".join(f"{p.values[name]:>24.5g}" for p in answer.law.published)
        print(f"{name:<24}{estimate.value:>10.5g}{known}")
    page = Path(f"{path.stem}_fit.html")
    page.write_text(render_page(answer), encoding="utf-8")
    print(f"\nThe frontier with its band: {page}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python examples/chinchilla_refit.py DATA.csv")
    main(Path(sys.argv[1]))
