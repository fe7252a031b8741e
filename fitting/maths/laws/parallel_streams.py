"""Parallel streams (ParScale): ``L = E + (A / (N (k log P + 1)))^alpha``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.types import (
    Columns,
    CurveForm,
    DerivedQuantity,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Published,
    Refusal,
    Rows,
)

MIN_STREAMS, MAX_STREAMS = 3, 4096
SOURCE = "Chen et al. 2025 (ParScale); QwenLM/ParScale@cd6acb4 parametric_fit.py"


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return the loss for size N and P streams."""
    reach = columns["n_params"] * (params["k"] * np.log(columns["k_streams"]) + 1.0)
    loss: FloatArray = params["E"] + np.exp(params["alpha"] * (np.log(params["A"]) - np.log(reach)))
    return loss


def decode(searched: Params, centres: Mapping[str, float]) -> Params:
    """Read A from the reducible loss of one stream at the mean size."""
    log_a = np.log(searched["A"]) / searched["alpha"] + np.log(centres["n_params"])
    return {**searched, "A": np.exp(log_a)}


def list_starts(rows: Rows, options: Options) -> FloatArray:
    """Return a grid over the constant, the exponent and k."""
    low = float(rows.target.min())
    return np.array(
        [
            [np.log(share * low), np.log((1 - share) * low), np.log(alpha), k]
            for share in (0.3, 0.6, 0.85)
            for alpha in (0.1, 0.2, 0.4)
            for k in (0.2, 0.5)
        ]
    )


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse fewer than three values of P, and rows of different token counts."""
    streams = rows.columns["k_streams"]
    if streams.min() < 1.0 or streams.max() > MAX_STREAMS:
        return Refusal(
            "span",
            f"the numbers of streams run from {streams.min():.3g} to {streams.max():.3g}; they are "
            f"whole numbers from 1 to {MAX_STREAMS}",
            "map k_streams to the number of parallel streams P",
        )
    n_streams = np.unique(streams).size
    if n_streams < MIN_STREAMS:
        return Refusal(
            "too_few_points",
            f"k needs >= {MIN_STREAMS} numbers of streams; have {n_streams}",
            "train with other P",
        )
    tokens = rows.columns.get("n_tokens")
    if tokens is None or np.ptp(np.log(tokens)) < 0.01:
        return None
    return Refusal(
        "mixed",
        f"the rows saw between {tokens.min():.3g} and {tokens.max():.3g} tokens; the law has no "
        "data term",
        "select runs of one token count",
    )


def _amplitude(params: Params, options: Options) -> FloatArray:
    amplitude: FloatArray = (params["A"] / 1e9) ** params["alpha"]
    return amplitude


def _equivalent(params: Params, options: Options) -> FloatArray:
    factor: FloatArray = params["k"] * np.log(float(str(options["streams"]))) + 1.0
    return factor


def design() -> dict[str, np.ndarray]:
    """Return six sizes at four numbers of streams."""
    n, p = np.meshgrid(np.geomspace(0.5e9, 4.4e9, 6), [1.0, 2.0, 4.0, 8.0])
    return {"n_params": n.ravel(), "k_streams": p.ravel()}


LAW = Law(
    slug="parallel_streams",
    title="Parallel streams",
    formula="L = E + (A / (N (k log P + 1)))^alpha",
    tex=r"L = E + \left(\frac{A}{N (k \log P + 1)}\right)^{\alpha}",
    inputs=(
        LawInput("n_params", "N", "non-embedding parameters, streams included", octaves=1.0),
        LawInput("k_streams", "P", "parallel streams"),
        LawInput("n_tokens", "D", "tokens, the same in all rows", optional=True),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("E", "irreducible loss", "nats", bound_has_meaning=True),
        LawParam("A", "size scale", "parameters"),
        LawParam("alpha", "exponent"),
        LawParam("k", "gain per log stream", bound_has_meaning=True),
    ),
    structure=CurveForm(
        predict,
        list_starts,
        (-18.0, -18.0, np.log(1e-3), 0.0),
        (8.0, 8.0, np.log(5.0), 20.0),
        (True, True, True, False),
        replica_starts=2,
        decode=decode,
    ),
    objective=Objective("huber", "log", delta=1e-3),
    source=SOURCE,
    procedure="Sum of Huber losses of the log residuals, bounded, from 18 starts.",
    pitfalls=("E and alpha are nearly collinear, k is not: lead with k and N (k log P + 1).",),
    options=(
        LawOption("delta", 1e-3, "Huber threshold on log residuals", least=0.0, is_above=True),
        LawOption("streams", 8, "P at which the equivalent size is reported", least=1),
    ),
    derived=(
        DerivedQuantity("amplitude", "(A / 1e9)^alpha", "nats", _amplitude),
        DerivedQuantity("equivalent_size", "k log P + 1 at the option streams", "", _equivalent),
    ),
    published=(
        Published(
            "Stack-V2 Python",
            {"E": 0.69124, "A": 1.13062e7, "alpha": 0.18937, "k": 0.39346},
            SOURCE,
        ),
        Published("Pile", {"E": 1.28877, "A": 1.97352e8, "alpha": 0.19633, "k": 0.33446}, SOURCE),
    ),
    refuse=refuse,
    truth={"E": 0.69, "A": 1e9 * 0.43 ** (1 / 0.19), "alpha": 0.19, "k": 0.39},
    design=design,
)
