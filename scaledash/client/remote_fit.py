"""Fits and forecasts of a study as the server knows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from scaledash.client.errors import UsageError
from scaledash.client.nonfinite import read_numbers, read_value

LR_SWEEP, COMPUTE_OPTIMAL = "lr_sweep", "compute_optimal"
LR_EXPONENT = "lr_exponent"
PARAMETRIC = "parametric"
PREDICTED = ("n_params", "n_tokens", "tokens_per_parameter", "loss")
# Members of a result that hold a fit each; in some the fit is the only one and is called so.
PARTS, ONLY = ("variants", "ladders", "families", "curves"), "fit"
OF = ("run_id", "n_params", "peak_lr")  # what tells parts of one variant apart
INSIDE_DECADES = 1e-3  # what reaches less far beyond the data is no extrapolation
Interval = tuple[float, float]


@dataclass(frozen=True)
class Prediction:
    """A value that a fit predicts.

    Attributes
    ----------
    value, low, high : float
        The value and its interval, NaN where the fit gives none.
    extrapolated : bool
        Beyond the data that was fitted.
    """

    value: float
    low: float
    high: float
    extrapolated: bool


@dataclass(frozen=True)
class Score:
    """How a forecast turned out.

    Attributes
    ----------
    measured : float
        What the runs have shown.
    error : float
        Relative error of the forecast.
    is_inside : bool or None
        Whether the measured value lies in the interval; None where there was none.
    runs : tuple of str
        Ids of the runs that have tested it.
    """

    measured: float
    error: float
    is_inside: bool | None
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """A prediction that was frozen: never changed, and scored once runs have tested it.

    Attributes
    ----------
    id : int
        Number in the register.
    quantity : str
        "loss", "optimal_size" or "optimal_lr".
    target : mapping
        Where it holds: n_params, n_tokens, flops, variant, approach.
    prediction : Prediction
        Value and interval.
    decades_beyond : float
        How far beyond the data it reaches.
    basis, fit_version, digest : str, int, str
        Law, version of its analysis, and digest of the data behind it.
    created, created_by : str, str or None
        When, as ISO 8601 in UTC, and by whom it was frozen.
    score : Score or None
        None as long as no run has tested it.
    """

    id: int
    quantity: str
    target: Mapping[str, Any]
    prediction: Prediction
    decades_beyond: float
    basis: str
    fit_version: int
    digest: str
    created: str
    created_by: str | None
    score: Score | None


class RemoteFit:
    """One law of one variant, as one version of an analysis has fitted it; or why it has not.

    Parameters
    ----------
    about : mapping
        The fit that holds it: version, analysis, times, digest, settings.
    law : str
        Name inside the analysis, such as "parametric".
    variant : str
        Which runs, such as "qk_norm=ln".
    part : mapping
        The law's part of the result: estimates, or a refusal.
    frontier : mapping, optional
        What the law says over a range of budgets.
    ask : callable, optional
        Asks the server for the loss at (N, D).
    """

    def __init__(
        self,
        about: Mapping[str, Any],
        law: str,
        variant: str,
        part: Mapping[str, Any],
        frontier: Mapping[str, Any] | None = None,
        ask: Callable[[float, float], Prediction] | None = None,
    ) -> None:
        self.about = about
        self.law = law
        self.variant = variant
        self.document = part
        self._frontier = frontier
        self._ask = ask

    @property
    def form(self) -> str:
        """Slug of the law that was fitted, such as "chinchilla_parametric"."""
        return str(self.document.get("law") or self.law)

    @property
    def refusal(self) -> str | None:
        """Why the data cannot support this fit, and what would; None where it is fitted."""
        if "sentence" not in self.document or "code" not in self.document:
            return None
        cure = self.document.get("cure")
        return f"{self.document['sentence']}; {cure}" if cure else str(self.document["sentence"])

    @property
    def params(self) -> dict[str, float] | None:
        """Parameters at full precision; None where the fit is refused."""
        found = self._estimates()
        return None if found is None else {k: read_value(v.get("value")) for k, v in found.items()}

    @property
    def intervals(self) -> dict[str, Interval | None]:
        """Interval per parameter; infinite where a side is open, None where there is none."""
        return {k: _read_interval(v.get("interval")) for k, v in (self._estimates() or {}).items()}

    @property
    def n(self) -> int | None:
        """How many rows were fitted."""
        found = self.document.get("n", self.document.get("n_scales"))
        return None if found is None else int(found)

    @property
    def objective(self) -> float | None:
        """Value of the objective at the optimum."""
        found = self.document.get("objective")
        return None if found is None else read_value(found)

    @property
    def delta(self) -> float | None:
        """Huber's delta, where the analysis has one."""
        found = self._setting("delta")
        return None if found is None else float(found)

    @property
    def seed(self) -> int | None:
        """Seed of the bootstrap."""
        found = self.document.get("seed", self._setting("seed"))
        return None if found is None else int(found)

    @property
    def excluded(self) -> list[Any]:
        """Rows that a rule has left out, by rule."""
        return list(self.document.get("exclusions") or [])

    @property
    def held_out_error(self) -> Any:
        """Error on runs that were withheld; the server's document, None where there is none."""
        return self.document.get("held_out")

    @property
    def digest(self) -> str:
        """Digest of the data that the fit has read."""
        return str(self.document.get("digest") or self.about.get("input_digest") or "")

    @property
    def version(self) -> int:
        """Version of the analysis, counted from 1."""
        return int(self.about["version"])

    @property
    def created(self) -> str:
        """When it was published, as ISO 8601 in UTC."""
        return str(self.about["created_at"])

    def predict(
        self, *, N: float | None = None, D: float | None = None, C: float | None = None
    ) -> dict[str, Prediction]:
        """Return what the law says at a budget C, for a run of N and D, or the best rate at N.

        Parameters
        ----------
        N : float, optional
            Size, for the law of the best learning rate.
        D : float, optional
            Tokens, with N: the loss of a run by the parametric law of the newest version.
        C : float, optional
            Budget in FLOPs, for the compute-optimal laws: `n_params`, `n_tokens`,
            `tokens_per_parameter` and, where the law gives one, `loss`.

        Raises
        ------
        UsageError
            The fit is refused, or this law does not predict from what was given.

        Notes
        -----
        The loss of a run is the server's, with the interval of a single run. All else is read off
        the curve that the server has stored, linearly in the logarithms between points.
        """
        if self.refusal:
            raise UsageError(f"{self.law} of {self.variant or 'all runs'}: {self.refusal}")
        if self.law == PARAMETRIC and N is not None and D is not None and self._ask is not None:
            return {"loss": self._ask(N, D)}
        if self.law == LR_EXPONENT and N is not None:
            return {"lr": _read_off(self.document, "x", self.document, "lr", N)}
        if self._frontier is not None and C is not None:
            bands = {name: self._frontier.get(name) for name in PREDICTED}
            return {
                name: _read_off(self._frontier, "flops", {**self._frontier, **band}, "value", C)
                for name, band in bands.items()
                if band
            }
        raise UsageError(
            f"{self.law} predicts from {'N=' if self.law == LR_EXPONENT else 'C='}, and only where"
            " the server has stored its curve; the newest parametric law also from N= and D="
        )

    def _estimates(self) -> dict[str, dict[str, Any]] | None:
        if self.refusal is not None:
            return None
        if self.law == LR_EXPONENT:
            about = {"value": self.document["exponent"], "interval": self.document["interval"]}
            return {"exponent": about, "log_intercept": {"value": self.document["log_intercept"]}}
        return dict(self.document.get("params") or {})

    def _setting(self, name: str) -> Any:
        return (self.about.get("settings") or {}).get(name)

    def __repr__(self) -> str:
        said = self.refusal or ", ".join(f"{k}={v:.4g}" for k, v in (self.params or {}).items())
        return f"RemoteFit({self.law}, {self.variant or 'all runs'}: {said})"


def split_variant(
    about: Mapping[str, Any],
    part: Mapping[str, Any],
    ask: Callable[[str, float, float], Prediction] | None,
) -> Iterator[RemoteFit]:
    """Yield the laws of one variant of an analysis; `ask` takes the variant first."""
    variant = str(part.get("variant", ""))
    about = {**about, "of": {name: part[name] for name in OF if name in part}}
    if about["analysis"] == LR_SWEEP:
        yield RemoteFit(about, LR_EXPONENT, variant, part["exponent"])
        return
    predict = None if ask is None else partial(ask, variant)
    frontiers = {item["approach"]: item for item in part.get("frontiers") or []}
    inners = {**part, **(part.get("laws") or {}), **_list_nested(part)}
    for name, inner in inners.items():
        if isinstance(inner, Mapping) and inner.keys() & {"code", "params"}:
            frontier = frontiers.get(str(inner.get("law")))
            law = str(inner.get("law") or about["analysis"]) if name == ONLY else name
            yield RemoteFit(about, law, variant, inner, frontier, predict)


def _list_nested(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the laws that stand one level deeper, with their samples: over-training."""
    return {
        name: inner[ONLY]
        for name, inner in part.items()
        if isinstance(inner, Mapping) and ONLY in inner
    }


def read_prediction(document: Mapping[str, Any]) -> Prediction:
    """Return a prediction as the server gives it."""
    value, low, high = (read_value(document.get(name)) for name in ("value", "low", "high"))
    is_beyond = read_value(document.get("decades_beyond")) > INSIDE_DECADES
    return Prediction(value, low, high, is_beyond)


def read_forecast(document: Mapping[str, Any]) -> Forecast:
    """Return a forecast of the register."""
    score = document.get("score")
    return Forecast(
        id=int(document["id"]),
        quantity=str(document["quantity"]),
        target=dict(document.get("target") or {}),
        prediction=read_prediction(document),
        decades_beyond=read_value(document.get("decades_beyond")),
        basis=str(document.get("basis") or ""),
        fit_version=int(document["fit_version"]),
        digest=str(document.get("input_digest") or ""),
        created=str(document.get("created_at") or ""),
        created_by=document.get("created_by"),
        score=None if score is None else _read_score(score),
    )


def _read_score(score: Mapping[str, Any]) -> Score:
    measured, error = (read_value(score.get(name)) for name in ("measured", "error"))
    return Score(measured, error, score.get("is_inside"), tuple(score.get("runs") or ()))


def _read_interval(interval: Mapping[str, Any] | None) -> Interval | None:
    if interval is None:
        return None
    low = -math.inf if interval.get("low_open") else read_value(interval["low"])
    high = math.inf if interval.get("high_open") else read_value(interval["high"])
    return low, high


def _read_off(
    axis: Mapping[str, Any], x: str, band: Mapping[str, Any], y: str, at: float
) -> Prediction:
    """Interpolate a stored curve in the logarithms."""
    places = read_numbers(axis[x])
    if not places or not places[0] <= at <= places[-1] * (1 + 1e-12):
        known = f"{places[0]:.3g} to {places[-1]:.3g}" if places else "no value"
        raise UsageError(f"{at:.3g} is outside of what the stored curve covers: {known}")
    after = min(max(1, sum(place < at for place in places)), len(places) - 1)
    before = max(0, after - 1)
    gap = math.log(places[after] / places[before]) if after > before else 0.0
    share = math.log(at / places[before]) / gap if gap else 0.0

    def read(name: str) -> float:
        curve = read_numbers(band.get(name))
        if not curve:
            return math.nan
        low, high = curve[before], curve[after]
        if not (low > 0 and high > 0 and math.isfinite(low) and math.isfinite(high)):
            return low + share * (high - low)
        return math.exp(math.log(low) + share * math.log(high / low))

    beyond = list(axis.get("extrapolated") or [False] * len(places))
    return Prediction(
        read(y), read("low"), read("high"), bool(beyond[after] if share else beyond[before])
    )
