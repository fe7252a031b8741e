"""Everything that speaks for or against an answer, in one call and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.engine import fit_law, prepare_rows
from fitting.maths.trust import (
    Influence,
    Profile,
    Variation,
    leave_one_out,
    profile_parameter,
    vary_exclusions,
    vary_option,
)
from fitting.maths.types import (
    BoolArray,
    Fit,
    HeldOut,
    Law,
    Record,
    Refusal,
    Rows,
    Separable,
    Settings,
)

DELTAS = (1e-4, 1e-3, 1e-2, 1e-1)
N_PROFILE = 61
TOP_SHARE = 0.02  # of the rows, whose highest losses are left out for comparison
MOST_INFLUENCED = 300  # runs beyond which laws fitted one by one are not refitted without each
CONSTANTS = ("E", "L_inf", "L0")


@dataclass(frozen=True)
class Examination(Record):
    """How an answer depends on runs, settings and the irreducible loss.

    Parameters
    ----------
    focus : the parameter that the sentences follow
    influence : leave-one-out, or why there is none
    deltas, exclusions : fits under other Huber thresholds and without rows; None where the law has
        no delta
    constant : profile likelihood of the irreducible loss, or why there is none
    sentences : the findings in words, the fit's own warnings first
    """

    focus: str
    influence: Influence | Refusal
    deltas: Variation | None
    exclusions: Variation
    constant: Profile | Refusal
    sentences: tuple[str, ...]


def examine_fit(
    law: Law, rows: Rows, settings: Settings | None = None, focus: str = ""
) -> Examination | Refusal:
    """Vary runs, settings and the irreducible loss, and say what moves the answer.

    Parameters
    ----------
    law, rows, settings : as for `fit_law`
    focus : parameter that the sentences follow; empty = the law's last one, an exponent

    Returns
    -------
    the variations with one sentence each, or the refusal of the fit itself

    References
    ----------
    Besiroglu et al. 2024, arXiv 2404.10102 (what moved a published fit)
    """
    fit = fit_law(law, rows, settings)
    if isinstance(fit, Refusal):
        return fit
    name = focus or _choose_focus(law, fit)
    influence = _measure_influence(law, rows, settings)
    has_delta = any(option.name == "delta" for option in law.options)
    deltas = vary_option(law, rows, "delta", DELTAS, settings) if has_delta else None
    exclusions = vary_exclusions(law, rows, _list_exclusions(rows), settings)
    constant = _profile_constant(law, rows, fit, settings)
    sentences = (
        *fit.warnings,
        *_describe_held_out(fit),
        *_describe_influence(fit, influence, name),
        *_describe_variation(deltas, name),
        *_describe_variation(exclusions, name),
        *_describe_constant(constant, name),
    )
    return Examination(name, influence, deltas, exclusions, constant, sentences)


def _choose_focus(law: Law, fit: Fit) -> str:
    exponents = [item.name for item in law.params if "exponent" in item.text]
    return next((name for name in reversed(exponents) if name in fit.params), list(fit.params)[-1])


def _measure_influence(law: Law, rows: Rows, settings: Settings | None) -> Influence | Refusal:
    n_units = len(set(rows.clusters or rows.names()))
    if isinstance(law.structure, Separable) or n_units <= MOST_INFLUENCED:
        return leave_one_out(law, rows, settings)
    return Refusal(
        "too_many_runs",
        f"{n_units} runs; {law.title} is refitted without each of at most {MOST_INFLUENCED}",
        "select fewer runs",
    )


def _list_exclusions(rows: Rows) -> dict[str, BoolArray]:
    finite = np.where(np.isfinite(rows.target), rows.target, -np.inf)
    n_top = max(1, round(TOP_SHARE * rows.n))
    highest = np.zeros(rows.n, dtype=np.bool_)
    highest[np.argsort(-finite, kind="stable")[:n_top]] = True
    return {f"the {n_top} highest losses" if n_top > 1 else "the highest loss": highest}


def _profile_constant(
    law: Law, rows: Rows, fit: Fit, settings: Settings | None
) -> Profile | Refusal:
    name = next((item for item in CONSTANTS if item in fit.params), "")
    usable = prepare_rows(law, rows, fit.options)
    if not name or isinstance(usable, Refusal):
        return Refusal("unsupported", f"{law.title} has no irreducible loss", "")
    least, value = float(usable.target.min()), fit.params[name].value
    if not 0.0 < value < least:
        return Refusal("unsupported", f"{name} = {value:.4g} is no loss to profile", "")
    shares = np.geomspace(1e-4, 0.99, N_PROFILE // 2)
    values = [value * (1.0 - shares[::-1]), np.array([value]), value + (least - value) * shares]
    return profile_parameter(law, rows, name, np.concatenate(values), settings)


def _describe_held_out(fit: Fit) -> tuple[str, ...]:
    if not isinstance(fit.held_out, HeldOut):
        return (fit.held_out.sentence,)
    n_rows = len(fit.held_out.ids)
    return (
        f"{n_rows} withheld {'row' if n_rows == 1 else 'rows'} ({fit.held_out.rule}): median error "
        f"{fit.held_out.median_error:.2%}, largest {fit.held_out.max_error:.2%}",
    )


def _describe_influence(fit: Fit, found: Influence | Refusal, name: str) -> tuple[str, ...]:
    if isinstance(found, Refusal):
        return (found.sentence,)
    value, without = fit.params[name].value, found.params[name]
    place = int(np.nanargmax(np.abs(without - value)))
    return (
        f"no single run moves {name} more than {found.ids[place]}: without it {without[place]:.4g} "
        f"in place of {value:.4g}",
    )


def _describe_variation(found: Variation | None, name: str) -> tuple[str, ...]:
    if found is None:
        return ()
    values = found.read(name)
    parts = [
        f"{value:.4g} ({change})" if np.isfinite(value) else f"no fit ({change})"
        for change, value in zip(found.changes, values, strict=True)
    ]
    return (f"{name} is " + ", ".join(parts),)


def _describe_constant(found: Profile | Refusal, name: str) -> tuple[str, ...]:
    if isinstance(found, Refusal):
        return ()
    low, high = found.read_range(name)
    ends = found.interval
    left = "below " if ends.low_open else ""
    return (
        f"the rows allow {found.name} from {left}{ends.low:.4g} to {ends.high:.4g}; {name} then "
        f"goes from {low:.4g} to {high:.4g}",
    )
