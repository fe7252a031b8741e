"""Crossing of two ladders: where their fitted loss curves meet, and the gain in compute."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.types import (
    Fit,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Refusal,
    Review,
    Rows,
    Settings,
)

N_LADDERS = 2
POINT_REPLICAS = 1000
FORM = "power_law_constant"


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse anything but two ladders."""
    labels = sorted(set(rows.groups))
    if len(labels) == N_LADDERS:
        return None
    return Refusal(
        "too_few_groups",
        f"a crossing needs two ladders; the group column has {len(labels)}: "
        f"{', '.join(labels[:5]) or 'none'}",
        "give the column that names the ladder, and choose two of them",
    )


def fit_ladders(rows: Rows, replicas: int, seed: int) -> tuple[Fit, Fit] | Refusal:
    """Fit a power law with a constant to each ladder, in order of their labels.

    Parameters
    ----------
    rows : flops, groups = ladder; loss
    replicas : of each fit
    seed : of the first; the second takes the next

    Returns
    -------
    both fits, or the Refusal of the first that failed

    References
    ----------
    Henighan et al. 2020, arXiv 2010.14701
    """
    from fitting.maths.engine import fit_law
    from fitting.maths.registry import get_law

    fits = []
    for number, (name, places) in enumerate(rows.split_groups().items()):
        part = rows.take(places)
        ladder = Rows({"x": part.columns["flops"]}, part.target, part.ids)
        fit = fit_law(get_law(FORM), ladder, Settings(replicas, seed + number))
        if isinstance(fit, Refusal):
            return Refusal(fit.code, f"ladder {name}: {fit.sentence}", fit.cure)
        fits.append(fit)
    return fits[0], fits[1]


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit both ladders and find where they meet."""
    from fitting.maths.compare import Crossing, compare_ladders

    fits = fit_ladders(rows, POINT_REPLICAS, 0)
    if isinstance(fits, Refusal):
        return fits
    low, high = float(rows.columns["flops"].min()), float(rows.columns["flops"].max())
    compared = compare_ladders(*fits, low, high)
    if isinstance(compared, Refusal):
        return compared
    if not isinstance(compared.crossing, Crossing):
        return compared.crossing
    crossing = compared.crossing
    table = tuple(
        {"ladder": name, **fit.values(), "held_out_max": error}
        for name, fit, error in zip(rows.split_groups(), fits, compared.held_out, strict=True)
    )
    warnings = [compared.verdict]
    if crossing.extrapolated:
        warnings.append("extrapolation: more than a decade beyond the largest compute")
    if crossing.one_sided:
        warnings.append(f"only {crossing.share_once:.0%} of the replicas cross once: one-sided")
    params = {"crossing": crossing.flops, **_gain(rows, fits, options)}
    return Point(params, table=table, warnings=tuple(warnings))


def _gain(rows: Rows, fits: tuple[Fit, Fit], options: Options) -> dict[str, float]:
    """Return the second ladder's compute-equivalent gain where the option asks for it."""
    from fitting.maths.gains import Gain, measure_gain

    if options["gain_at"] is None:
        return {}
    gain = measure_gain(*fits, float(str(options["gain_at"])), _read_reference(rows))
    return {"gain": gain.gain if isinstance(gain, Gain) else np.nan}


def _read_reference(rows: Rows) -> tuple[float, float]:
    """Return the least and largest compute of the first ladder, the reference of the gain."""
    first = rows.columns["flops"][next(iter(rows.split_groups().values()))]
    return float(first.min()), float(first.max())


def replicate(rows: Rows, settings: Settings) -> Params:
    """Return the crossing of each pair of replicas; NaN where they do not cross once."""
    from fitting.maths.compare import cross_replicas
    from fitting.maths.gains import draw_gains

    fits = fit_ladders(rows, settings.replicas, settings.seed)
    if isinstance(fits, Refusal):
        return {}
    low, high = float(rows.columns["flops"].min()), float(rows.columns["flops"].max())
    log_c: FloatArray = cross_replicas(fits[0], fits[1], low, high)
    at = LAW.read_options(settings.options)["gain_at"]
    if at is None:
        return {"crossing": np.exp(log_c)}
    gains = draw_gains(*fits, float(str(at)), _read_reference(rows))
    return {"crossing": np.exp(log_c), "gain": gains}


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Report the median of the replicas, which is steadier than the point."""
    if not replicas:
        return Review()
    middle = float(np.exp(np.nanmedian(np.log(replicas["crossing"]))))
    return Review((f"median of the replicas {middle:.4g}",))


LAW = Law(
    slug="crossover",
    title="Crossing of two ladders",
    formula="f_1(C) = f_2(C), f = L_inf + A C^-a",
    tex=r"f_1(C) = f_2(C)",
    inputs=(LawInput("flops", "C", "FLOPs, or any one scale", octaves=1.0),),
    target=LawInput("loss", "L", "nats per token"),
    params=(LawParam("crossing", "compute at which the ladders meet", "FLOPs"),),
    structure=Procedure(run, "within_groups", replicate),
    objective=Objective("least_squares", "linear", weights="1/L^2"),
    source="own procedure; cf. Xiao 2024, arXiv 2409.15156 (unverified)",
    group="ladder",
    procedure="A power law with a constant to each ladder; replicas of both, paired; the interval "
    "stands where at least 95 % of them cross once, below 50 % the crossing is refused.",
    pitfalls=(
        "A crossing inside the data is robust although the asymptotes are not.",
        "One reference scale alone is never a comparison.",
    ),
    options=(
        LawOption(
            "gain_at",
            None,
            "compute at which the second ladder's gain is reported",
            least=0.0,
            is_above=True,
        ),
    ),
    refuse=refuse,
    review=review,
)
