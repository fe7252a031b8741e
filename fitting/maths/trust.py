"""How far an answer can be trusted: influence of runs, of settings, and profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fitting.maths.engine import fit_law, prepare_rows
from fitting.maths.fitters import SeparableFitter
from fitting.maths.records import Interval, Record
from fitting.maths.separable import fit_replicas, polish
from fitting.maths.types import (
    BoolArray,
    Fit,
    FloatArray,
    Law,
    Options,
    Refusal,
    Rows,
    Separable,
    Settings,
)

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
    params : name -> ndarray, shape (k,), all parameters at each held value
    """

    name: str
    values: FloatArray
    objective: FloatArray
    interval: Interval
    params: Mapping[str, FloatArray] = field(default_factory=dict)

    def read_range(self, name: str) -> tuple[float, float]:
        """Return least and largest value of a parameter over the interval of the held one.

        Parameters
        ----------
        name : of a parameter

        Returns
        -------
        its ends, in its own unit; NaN where no held value lies in the interval
        """
        inside = (self.values >= self.interval.low) & (self.values <= self.interval.high)
        found = self.params[name][inside]
        return (float(found.min()), float(found.max())) if found.size else (np.nan, np.nan)


def leave_one_out(law: Law, rows: Rows, settings: Settings | None = None) -> Influence | Refusal:
    """Fit without each run in turn.

    Parameters
    ----------
    law, rows : as for `fit_law`
    settings : seed and options; replicas are not drawn

    Returns
    -------
    parameters without each run, and how far they move; or the refusal of all rows

    References
    ----------
    Cook 1977, Technometrics 19(1), 15-18 (influence of single observations)
    """
    base = _without_replicas(settings)
    fit = fit_law(law, rows, base)
    if isinstance(fit, Refusal):
        return fit
    usable = prepare_rows(law, rows, fit.options)
    if isinstance(usable, Refusal):
        return usable
    ids = tuple(dict.fromkeys(usable.clusters or usable.names()))
    kept = np.array(usable.clusters or usable.names())[None, :] != np.array(ids)[:, None]
    if isinstance(law.structure, Separable):
        params = _drop_each_at_once(law, usable, fit.options, kept)
    else:
        params = _drop_each(law, rows, base, tuple(fit.params), ids)
    shifts = []
    for name, values in params.items():
        spread = float(np.nanstd(values))
        shifts.append(np.abs(values - fit.params[name].value) / max(spread, 1e-300))
    return Influence(ids, params, np.nanmax(shifts, axis=0))


def vary_option(
    law: Law, rows: Rows, name: str, values: Sequence[object], settings: Settings | None = None
) -> Variation:
    """Fit with an option, such as delta, at several values.

    Parameters
    ----------
    law, rows : as for `fit_law`
    name : of the option
    values : to fit with
    settings : seed and the other options; replicas are not drawn

    Returns
    -------
    the fit or refusal at each value

    References
    ----------
    Besiroglu et al. 2024, arXiv 2404.10102 (the answer moves with delta)
    """
    base = _without_replicas(settings)
    fits = tuple(fit_law(law, rows, base.with_options(**{name: value})) for value in values)
    return Variation(tuple(f"{name} = {value}" for value in values), fits)


def vary_exclusions(
    law: Law, rows: Rows, rules: Mapping[str, BoolArray], settings: Settings | None = None
) -> Variation:
    """Fit all rows, and without the rows that each rule marks.

    Parameters
    ----------
    law, rows : as for `fit_law`
    rules : name in words -> ndarray of bool, shape (n,), True = left out
    settings : seed and options; replicas are not drawn

    Returns
    -------
    the fit or refusal of all rows, then of each rule

    References
    ----------
    Besiroglu et al. 2024, arXiv 2404.10102 (five rows move beta from .37 to .45)
    """
    base = _without_replicas(settings)
    changes, fits = ["all rows"], [fit_law(law, rows, base)]
    for name, marked in rules.items():
        n_marked = int(marked.sum())
        changes.append(f"without {name} ({n_marked} {'row' if n_marked == 1 else 'rows'})")
        fits.append(fit_law(law, rows.take(~marked), base))
    return Variation(tuple(changes), tuple(fits))


def profile_parameter(
    law: Law, rows: Rows, name: str, values: FloatArray, settings: Settings | None = None
) -> Profile | Refusal:
    """Hold one parameter of a separable law at each value and minimise over the others.

    Parameters
    ----------
    law, rows : as for `fit_law`; the law must be separable
    name : a constant term such as E or L_inf, or an exponent
    values : ndarray, ascending; positive for a constant term
    settings : seed and options; replicas are not drawn

    Returns
    -------
    the objective and all parameters at each value, and the values that the rows allow; or a
    Refusal

    Notes
    -----
    ``n log(f / f_min)`` is the likelihood ratio of normal residuals of unknown variance; with a
    Huber loss it is an approximation.

    References
    ----------
    Venzon and Moolgavkar 1988, Applied Statistics 37(1), 87-94 (profile likelihood)
    """
    base = _without_replicas(settings)
    fit = fit_law(law, rows, base)
    if isinstance(fit, Refusal):
        return fit
    if not isinstance(law.structure, Separable):
        return Refusal("unsupported", f"{law.title} is not separable: no profile", "")
    usable = prepare_rows(law, rows, fit.options)
    if isinstance(usable, Refusal):
        return usable
    problem = SeparableFitter(law, law.structure, usable, fit.options).make_problem()
    names = (*law.structure.linear, *law.structure.nonlinear)
    place = names.index(name)
    linear = place < problem.n_terms
    if linear and np.any(problem.centres[place] != 0.0):
        return Refusal("unsupported", f"{name} is an amplitude: profile its exponent", "")
    best = fit_replicas(problem, np.ones((1, usable.n)), 1e-12, 1000)
    theta = np.repeat(best.theta, values.size, axis=0)
    theta[:, place] = np.log(values) if linear else values
    counts = np.ones((values.size, usable.n)) * problem.weights
    held = polish(replace(problem, frozen=(place,)), counts, theta, 1e-10, 500)
    excess = usable.n * np.log(held.objective / best.objective[0])
    inside = values[excess <= CHI_SQUARE_95]
    low, high = (inside[0], inside[-1]) if inside.size else (np.nan, np.nan)
    interval = Interval(
        float(low),
        float(high),
        low_open=bool(inside.size and low == values[0]),
        high_open=bool(inside.size and high == values[-1]),
    )
    return Profile(name, values, held.objective, interval, problem.read_params(held.theta))


def _drop_each_at_once(
    law: Law, rows: Rows, options: Options, kept: BoolArray
) -> dict[str, FloatArray]:
    assert isinstance(law.structure, Separable)
    problem = SeparableFitter(law, law.structure, rows, options).make_problem()
    found = fit_replicas(problem, kept.astype(np.float64), 1e-9)
    return problem.read_params(found.theta)


def _drop_each(
    law: Law, rows: Rows, settings: Settings, names: tuple[str, ...], ids: tuple[str, ...]
) -> dict[str, FloatArray]:
    units = np.array(rows.clusters or rows.names())
    fits = [fit_law(law, rows.take(units != name), settings) for name in ids]
    return {name: np.array([_read(fit, name) for fit in fits]) for name in names}


def _read(fit: Fit | Refusal, name: str) -> float:
    if isinstance(fit, Refusal):
        return np.nan
    return fit.params[name].value if name in fit.params else fit.derived[name].value


def _without_replicas(settings: Settings | None) -> Settings:
    return replace(settings or Settings(), replicas=0, hold_out="none")
