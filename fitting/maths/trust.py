"""How far an answer can be trusted: influence of runs, of settings, and profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.engine import fit_law
from fitting.maths.fitters import SeparableFitter
from fitting.maths.records import Interval, Record
from fitting.maths.separable import fit_replicas, polish
from fitting.maths.types import BoolArray, Fit, FloatArray, Law, Refusal, Rows, Separable, Settings

CHI_SQUARE_95 = 3.841458820694124  # 95 % point, one degree of freedom


@dataclass(frozen=True)
class Influence(Record):
    """What each run does to the parameters.

    Parameters
    ----------
    ids : run left out
    params : name -> ndarray, shape (n,), estimate without that run
    shift : ndarray, shape (n,), largest move of a parameter in units of its spread over `params`
    """

    ids: tuple[str, ...]
    params: Mapping[str, FloatArray]
    shift: FloatArray

    def rank(self) -> tuple[str, ...]:
        """Return the ids, most influential first."""
        return tuple(self.ids[place] for place in np.argsort(-self.shift, kind="stable"))


@dataclass(frozen=True)
class Variation(Record):
    """Fits under changed settings or exclusions, side by side.

    Parameters
    ----------
    changes : what was changed, in words
    fits : the fit or the refusal of each
    """

    changes: tuple[str, ...]
    fits: tuple[Fit | Refusal, ...]

    def read(self, name: str) -> FloatArray:
        """Return one parameter or derived quantity under every change; NaN where refused."""
        return np.array([_read(fit, name) for fit in self.fits])


@dataclass(frozen=True)
class Profile(Record):
    """The objective with one parameter held.

    Parameters
    ----------
    name : the parameter
    values, objective : grid and minimum over the other parameters
    interval : where ``n log(f / f_min)`` stays below the 95 % point of chi-square
    """

    name: str
    values: FloatArray
    objective: FloatArray
    interval: Interval


def leave_one_out(law: Law, rows: Rows, settings: Settings | None = None) -> Influence | Refusal:
    """Fit without each run in turn."""
    base = _without_replicas(settings)
    fit = fit_law(law, rows, base)
    if isinstance(fit, Refusal):
        return fit
    if isinstance(law.structure, Separable) and law.prepare is None:
        params = _drop_each_at_once(law, rows, base)
    else:
        params = _drop_each(law, rows, base, tuple(fit.params))
    shifts = []
    for name, values in params.items():
        spread = float(np.nanstd(values))
        shifts.append(np.abs(values - fit.params[name].value) / max(spread, 1e-300))
    return Influence(rows.names(), params, np.nanmax(shifts, axis=0))


def vary_option(
    law: Law, rows: Rows, name: str, values: Sequence[object], settings: Settings | None = None
) -> Variation:
    """Fit with an option, such as delta, at several values."""
    base = _without_replicas(settings)
    fits = tuple(fit_law(law, rows, base.with_options(**{name: value})) for value in values)
    return Variation(tuple(f"{name} = {value}" for value in values), fits)


def vary_exclusions(
    law: Law, rows: Rows, rules: Mapping[str, BoolArray], settings: Settings | None = None
) -> Variation:
    """Fit all rows, and without the rows that each rule marks."""
    base = _without_replicas(settings)
    changes, fits = ["all rows"], [fit_law(law, rows, base)]
    for name, marked in rules.items():
        changes.append(f"without {name} ({int(marked.sum())} rows)")
        fits.append(fit_law(law, rows.take(~marked), base))
    return Variation(tuple(changes), tuple(fits))


def profile_parameter(
    law: Law, rows: Rows, name: str, values: FloatArray, settings: Settings | None = None
) -> Profile | Refusal:
    """Hold one parameter of a separable law at each value and minimise over the others.

    Parameters
    ----------
    name : a constant term such as E or L_inf, or an exponent
    values : ndarray, ascending; positive for a constant term
    """
    base = _without_replicas(settings)
    fit = fit_law(law, rows, base)
    if isinstance(fit, Refusal):
        return fit
    if not isinstance(law.structure, Separable):
        return Refusal("unsupported", f"{law.title} is not separable: no profile", "")
    fitter = SeparableFitter(law, law.structure, rows, fit.options)
    problem = fitter.make_problem()
    names = (*law.structure.linear, *law.structure.nonlinear)
    place = names.index(name)
    linear = place < problem.n_terms
    if linear and np.any(problem.centres[place] != 0.0):
        return Refusal("unsupported", f"{name} is an amplitude: profile its exponent", "")
    best = fit_replicas(problem, np.ones((1, rows.n)), 1e-12, 1000)
    theta = np.repeat(best.theta, values.size, axis=0)
    theta[:, place] = np.log(values) if linear else values
    counts = np.ones((values.size, rows.n)) * problem.weights
    held = polish(replace(problem, frozen=(place,)), counts, theta, 1e-10, 500)
    excess = rows.n * np.log(held.objective / best.objective[0])
    inside = values[excess <= CHI_SQUARE_95]
    low, high = (inside[0], inside[-1]) if inside.size else (np.nan, np.nan)
    interval = Interval(
        float(low),
        float(high),
        low_open=bool(inside.size and low == values[0]),
        high_open=bool(inside.size and high == values[-1]),
    )
    return Profile(name, values, held.objective, interval)


def _drop_each_at_once(law: Law, rows: Rows, settings: Settings) -> dict[str, FloatArray]:
    assert isinstance(law.structure, Separable)
    options = law.read_options(settings.options)
    problem = SeparableFitter(law, law.structure, rows, options).make_problem()
    found = fit_replicas(problem, 1.0 - np.eye(rows.n), 1e-9)
    return problem.read_params(found.theta)


def _drop_each(
    law: Law, rows: Rows, settings: Settings, names: tuple[str, ...]
) -> dict[str, FloatArray]:
    fits = [
        fit_law(law, rows.take(np.delete(np.arange(rows.n), place)), settings)
        for place in range(rows.n)
    ]
    return {name: np.array([_read(fit, name) for fit in fits]) for name in names}


def _read(fit: Fit | Refusal, name: str) -> float:
    if isinstance(fit, Refusal):
        return np.nan
    return fit.params[name].value if name in fit.params else fit.derived[name].value


def _without_replicas(settings: Settings | None) -> Settings:
    return replace(settings or Settings(), replicas=0, hold_out="none")
