"""Fit any law to rows: screen, estimate, resample, hold out, judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.fitters import Estimated, Fitter, make_fitter, read_objective
from fitting.maths.held_out import hold_out
from fitting.maths.identify import Identification, identify
from fitting.maths.repeats import estimate_noise
from fitting.maths.results import FLAT, MAX_GAP, NOISE_FREE
from fitting.maths.screening import refuse_rows, screen_rows
from fitting.maths.second_opinion import add_second_opinion
from fitting.maths.types import (
    Curve,
    Derived,
    Estimate,
    Exclusion,
    Fit,
    FloatArray,
    Law,
    Options,
    Params,
    Refusal,
    Review,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import MAX_FAILED_SHARE, summarise, take_band

N_SAMPLES = 128
AT_BOUND = 1e-9
MIN_CURVES = 8


def fit_law(law: Law, rows: Rows, settings: Settings | None = None) -> Fit | Refusal:
    """Fit a law.

    Parameters
    ----------
    law : from the registry
    rows : observations; unusable ones are left out and counted
    settings : replicas, seed, options; None = the defaults

    Returns
    -------
    the fit, or a Refusal whose sentence says what the data lack
    """
    settings = settings or Settings()
    options = law.read_options(settings.options)
    try:
        with np.errstate(all="ignore"):
            return _fit(law, rows, settings, options)
    except np.linalg.LinAlgError:
        return Refusal(
            "rank",
            f"the rows do not determine the {len(law.params)} parameters of {law.title}: a system "
            "of equations is singular",
            "vary the inputs independently",
        )


def prepare_rows(law: Law, rows: Rows, options: Options) -> Rows | Refusal:
    """Return the rows that the law would fit: usable, ordered by id, with the law's own columns.

    Parameters
    ----------
    law : from the registry
    rows : observations
    options : all options of the law, such as a fit's

    Returns
    -------
    the rows, or a Refusal for a missing column or by the law's own preparation
    """
    screened = screen_rows(law, _name_axis(law, rows))
    if isinstance(screened, Refusal):
        return screened
    usable = screened[0]
    return usable if law.prepare is None else law.prepare(usable, options)


def _fit(law: Law, rows: Rows, settings: Settings, options: Options) -> Fit | Refusal:
    screened = screen_rows(law, _name_axis(law, rows))
    if isinstance(screened, Refusal):
        return screened
    usable, exclusions = screened
    refusal = _refuse_usable(law, usable, options)
    if refusal is not None:
        return refusal
    if law.profile is not None and options[law.profile[0]] is None:
        return _fit_profiled(law, rows, settings)
    prepared = usable if law.prepare is None else law.prepare(usable, options)
    if isinstance(prepared, Refusal):
        return prepared
    exclusions += _count_cut(usable, prepared)
    usable = prepared
    if law.group == "curve" and not usable.clusters:
        usable = replace(usable, clusters=usable.groups)
    refusal = refuse_rows(law, usable, len(law.params)) if law.prepare is not None else None
    if refusal is not None:
        return refusal
    fitter = make_fitter(law, usable, options)
    estimated = fitter.estimate()
    if isinstance(estimated, Refusal):
        return estimated
    if estimated.is_start and estimated.convergence.scaled_gradient > FLAT:
        return Refusal(
            "fit_is_start",
            "the search did not leave its start, although the objective still falls there",
            "look for rows far from all others",
        )
    identified = identify(law, estimated)
    refusal = identified.refusal or _refuse_estimate(law, estimated.point.params)
    if refusal is not None:
        return refusal
    estimated = add_second_opinion(fitter, estimated)
    work = _Work(law, usable, settings, options, fitter, estimated, identified, exclusions)
    return work.finish()


def _count_cut(before: Rows, after: Rows) -> tuple[Exclusion, ...]:
    cut = tuple(sorted(set(before.names()) - set(after.names()))) if before.ids else ()
    if after.n == before.n:
        return ()
    sentence = "left out by the law's own rule before the fit"
    return (Exclusion("law_rule", sentence, before.n - after.n, cut),)


def _name_axis(law: Law, rows: Rows) -> Rows:
    """Take the only column there is as the law's only input, whatever its role."""
    roles = [item.role for item in law.inputs if not item.optional]
    if roles != ["x"] or "x" in rows.columns or len(rows.columns) != 1:
        return rows
    return replace(rows, columns={"x": next(iter(rows.columns.values()))})


def _fit_profiled(law: Law, rows: Rows, settings: Settings) -> Fit | Refusal:
    """Fit at each value of the profiled option and finish the best."""
    assert law.profile is not None
    name, values = law.profile
    quick = replace(settings, replicas=0, hold_out="none")
    fits = [(value, fit_law(law, rows, quick.with_options(**{name: value}))) for value in values]
    tried = [(value, fit.objective) for value, fit in fits if isinstance(fit, Fit)]
    if not tried:
        return next(fit for _, fit in fits if isinstance(fit, Refusal))
    best = min(tried, key=lambda item: item[1])[0]
    final = fit_law(law, rows, settings.with_options(**{name: best}))
    if isinstance(final, Refusal):
        return final
    profile = tuple({name: value, "objective": objective} for value, objective in tried)
    return replace(final, table=(*final.table, *profile))


@dataclass(frozen=True)
class _Work:
    """A successful point estimate on its way to a Fit."""

    law: Law
    rows: Rows
    settings: Settings
    options: Options
    fitter: Fitter
    estimated: Estimated
    identified: Identification
    exclusions: tuple[Exclusion, ...]

    def finish(self) -> Fit | Refusal:
        """Add intervals, derived quantities, held-out errors and the curve."""
        replicas, converged, reason = self._replicate()
        point = self.estimated.point
        review = Review()
        if self.law.review is not None:
            review = self.law.review(self.rows, point.params, replicas)
        if review.refusal is not None:
            return review.refusal
        shown = {
            name: self._withhold(name, estimate, review)
            for name, estimate in self._estimate_params(replicas, reason).items()
        }
        convergence = replace(self.estimated.convergence, replicas_converged=converged)
        n_params = len(self.law.params)
        return Fit(
            law=self.law.slug,
            law_version=self.law.version,
            objective_spec=read_objective(self.law, self.options),
            options=self.options,
            n=self.rows.n,
            n_params=n_params,
            dof=self.rows.n - n_params,
            exclusions=(*self.exclusions, *point.exclusions),
            digest=self.rows.digest(),
            seed=self.settings.seed,
            replicas=self.settings.replicas if replicas else 0,
            resampling_unit=self._name_unit(),
            params=shown,
            derived=self._derive(replicas, reason, review),
            objective=point.objective,
            convergence=convergence,
            condition=self.identified.condition,
            rank_ratio=self.identified.rank_ratio,
            correlation=self.identified.correlation,
            held_out=hold_out(self.law, self.rows, self.settings, self.options),
            curve=self._sample_curve(replicas),
            table=point.table,
            warnings=(
                *self.identified.warnings,
                *self._warn_few(),
                *point.warnings,
                *review.warnings,
            ),
            residuals=self.estimated.residuals,
            loss_noise=estimate_noise(self.rows) if self.law.group != "curve" else np.nan,
            replica_params=replicas,
        )

    def _replicate(self) -> tuple[Params, float, str]:
        if self.settings.replicas == 0:
            return {}, np.nan, "no replicas were asked for"
        few = (*self._warn_few(), *self._warn_few_curves())
        if few:
            return {}, np.nan, few[0]
        replicas, converged = self.fitter.replicate(self.settings)
        slope = self.estimated.convergence.scaled_gradient
        if slope > FLAT and self.estimated.point.objective > NOISE_FREE:
            return {}, np.nan, f"not converged: the scaled gradient is {slope:.1e}"
        gap = self.estimated.convergence.second_optimiser_gap
        if gap < -MAX_GAP:
            return {}, converged, f"a second optimiser finds an objective {-gap:.1e} lower"
        if converged < 1 - MAX_FAILED_SHARE:
            return {}, converged, f"{1 - converged:.0%} of the replicas failed: no interval"
        return replicas, converged, ""

    def _warn_few(self) -> tuple[str, ...]:
        p, n = len(self.law.params), self.rows.n
        return (f"{p} parameters on {n} points",) if n < p + 2 else ()

    def _warn_few_curves(self) -> tuple[str, ...]:
        n_curves = len(set(self.rows.groups))
        if self.law.group != "curve" or n_curves >= MIN_CURVES:
            return ()
        return (f"no interval: {n_curves} curves; resampling curves needs {MIN_CURVES}",)

    def _estimate_params(self, replicas: Params, reason: str) -> dict[str, Estimate]:
        units = {param.name: param.unit for param in self.law.params}
        return {
            name: summarise(
                value, replicas.get(name), self.settings.level, units.get(name, ""), reason
            )
            for name, value in self.estimated.point.params.items()
        }

    def _derive(self, replicas: Params, reason: str, review: Review) -> dict[str, Derived]:
        point = {name: np.array([value]) for name, value in self.estimated.point.params.items()}
        found = {}
        for quantity in self.law.derived:
            with np.errstate(all="ignore"):
                value = float(np.ravel(quantity.compute(point, self.options))[0])
                draws = quantity.compute(replicas, self.options) if replicas else None
            summary = summarise(value, draws, self.settings.level, quantity.unit, reason)
            shown = self._withhold(quantity.name, summary, review)
            found[quantity.name] = Derived(
                shown.value,
                shown.interval,
                shown.standard_error,
                shown.unit,
                shown.reason,
                quantity.text,
            )
        return found

    @staticmethod
    def _withhold(name: str, estimate: Estimate, review: Review) -> Estimate:
        if name not in review.withheld:
            return estimate
        return Estimate(estimate.value, None, None, estimate.unit, review.withheld[name])

    def _name_unit(self) -> str:
        if self.rows.clusters:
            return "cluster"
        resample = getattr(self.law.structure, "resample", "rows")
        return {"within_groups": "row within its group", "groups": "group"}.get(resample, "row")

    def _sample_curve(self, replicas: Params) -> Curve | None:
        role = self.law.curve_role
        values = find_axis(role, self.rows)
        if values is None:
            return None
        x = np.geomspace(values.min(), self.settings.x_max_factor * values.max(), N_SAMPLES)
        point = {name: np.array([value]) for name, value in self.estimated.point.params.items()}
        y = self._draw(point, x)
        if y is None:
            return None
        empty = np.full(N_SAMPLES, np.nan)
        band = (empty, empty)
        if replicas:
            draws = self._draw(replicas, x)
            band = take_band(draws, self.settings.level) if draws is not None else band
        beyond = x > values.max() * (1 + 1e-9)
        return Curve(role, self.law.target.role, x, y[0], band[0], band[1], beyond)

    def _draw(self, params: Params, x: FloatArray) -> FloatArray | None:
        with np.errstate(all="ignore"):
            if self.law.curve is None:
                return self.fitter.predict(params, {self.law.curve_role: x})
            wide = {name: values[:, None] for name, values in params.items()}
            return self.law.curve(wide, self.rows.columns, self.options, x)


def find_axis(role: str, rows: Rows) -> FloatArray | None:
    """Return the values that a curve over `role` covers; flops default to 6 N D.

    Parameters
    ----------
    role : of the x axis
    rows : the fitted rows

    Returns
    -------
    ndarray, shape (n,), in the unit of the role; None where the rows do not have it
    """
    if role in rows.columns:
        return rows.columns[role]
    if role == "flops" and {"n_params", "n_tokens"} <= set(rows.columns):
        return 6.0 * rows.columns["n_params"] * rows.columns["n_tokens"]
    return None


def _refuse_usable(law: Law, rows: Rows, options: Options) -> Refusal | None:
    refusal = refuse_rows(law, rows, len(law.params))
    if refusal is not None or law.refuse is None:
        return refusal
    return law.refuse(rows, options)


def _refuse_estimate(law: Law, params: Mapping[str, float]) -> Refusal | None:
    """Refuse an estimate without a finite number, or on or beyond a bound that means nothing."""
    if params and not np.any(np.isfinite(list(params.values()))):
        return Refusal("not_converged", f"no parameter of {law.title} has a finite estimate", "")
    for param in law.params:
        if param.bound_has_meaning or param.name not in params:
            continue
        value = float(params[param.name])
        if not param.lower <= value <= param.upper and np.isfinite(value):
            bound = param.lower if value < param.lower else param.upper
            return Refusal(
                "on_bound",
                f"the best {param.name} is {value:.4g}, beyond the {bound:.4g} that ends what it "
                f"can mean: {law.title} does not describe these rows",
                "more spread in the inputs, or another law",
            )
        for bound in (param.lower, param.upper):
            if np.isfinite(bound) and abs(value - bound) <= AT_BOUND * abs(bound):
                return Refusal(
                    "on_bound",
                    f"{param.name} stands on its bound {bound:.4g}: the data do not determine it",
                    "more spread in the inputs, or another law",
                )
    return None
