"""Studies as the server knows them: their runs, fits, predictions and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scaledash.client.decoding import read_numbers, read_value
from scaledash.client.errors import NotFound, UsageError
from scaledash.client.frames import DataFrame, make_table

if TYPE_CHECKING:
    from scaledash.client.api import Api

ANALYSES = ("lr_sweep", "compute_optimal")
FIGURES = ("lr_loss", "lr_sensitivity", "lr_optimum")
LR_EXPONENT = "lr_exponent"
PREDICTED = ("n_params", "n_tokens", "tokens_per_parameter", "loss")
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
    """

    def __init__(
        self,
        about: Mapping[str, Any],
        law: str,
        variant: str,
        part: Mapping[str, Any],
        frontier: Mapping[str, Any] | None = None,
    ) -> None:
        self.about = about
        self.law = law
        self.variant = variant
        self.document = part
        self._frontier = frontier

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

    def predict(self, *, N: float | None = None, C: float | None = None) -> dict[str, Prediction]:
        """Return what the law says at a budget C in FLOPs, or the learning rate at a size N.

        Parameters
        ----------
        N : float, optional
            Size, for the law of the best learning rate.
        C : float, optional
            Budget, for the compute-optimal laws: `n_params`, `n_tokens`, `tokens_per_parameter`
            and, where the law gives one, `loss`.

        Raises
        ------
        UsageError
            The fit is refused, or this law does not predict from what was given.

        Notes
        -----
        Read off the curve that the server has stored, linearly in the logarithms between points.
        """
        if self.refusal:
            raise UsageError(f"{self.law} of {self.variant or 'all runs'}: {self.refusal}")
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
            " the server has stored its curve"
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


class RemoteStudy:
    """A study as the server knows it.

    Parameters
    ----------
    api : Api
        Where further data is read.
    document : mapping
        The server's description.
    """

    def __init__(self, api: Api, document: Mapping[str, Any]) -> None:
        self.document = document
        self._api = api
        self._path = f"/studies/{int(document['id'])}"

    @property
    def slug(self) -> str:
        """Slug of the study, unique in its project."""
        return str(self.document["slug"])

    @property
    def name(self) -> str:
        """Name of the study."""
        return str(self.document.get("name") or self.slug)

    @property
    def project(self) -> str:
        """Slug of the project."""
        return str(self.document["project"])

    @property
    def url(self) -> str:
        """Page of the study."""
        address = str(self.document.get("url") or "")
        return address if "://" in address else f"{self._api.base_url}{address}"

    def rows(self) -> list[dict[str, Any]]:
        """Return the runs as the study reads them: n, d, c, lr, loss, variant, takes_part, ..."""
        numbers = ("n", "d", "c", "lr", "batch", "seed", "loss_at_init", "loss")
        found = self._api.list_items(f"{self._path}/runs", {})
        return [{**row, **{name: read_value(row[name]) for name in numbers}} for row in found]

    def runs(self) -> DataFrame:
        """Return `rows()` as a pandas frame."""
        return make_table(self.rows())

    def excluded(self) -> list[dict[str, Any]]:
        """Return which runs were left out by hand, by whom and why."""
        return list(self._api.list_items(f"{self._path}/exclusions", {}))

    def grid(self) -> dict[str, Any]:
        """Return how many runs each size and learning rate has, by state and variant."""
        return self._api.get(f"{self._path}/grid", {})

    def history(self, analysis: str) -> list[dict[str, Any]]:
        """Return every published version of an analysis, newest first, without results."""
        return list(self._api.list_items(f"{self._path}/fits", {"analysis": analysis}))

    def result(self, analysis: str, version: int | None = None) -> dict[str, Any] | None:
        """Return one version of an analysis with its whole result; None before the first."""
        if version is None:
            page = self._api.get(f"{self._path}/fits", {"analysis": analysis, "limit": "1"})
            if not page["items"]:
                return None
            version = int(page["items"][0]["version"])
        return self._api.get(f"{self._path}/fits/{version}", {"analysis": analysis})

    def fits(self, law: str | None = None) -> list[RemoteFit]:
        """Return every law of the newest analyses, refused ones too; by name or form of the law."""
        found = [fit for analysis in ANALYSES for fit in self._read_fits(analysis, None)]
        return [fit for fit in found if law in (None, fit.law, fit.form)]

    def fit(self, law: str, variant: str | None = None, version: int | None = None) -> RemoteFit:
        """Return one law.

        Parameters
        ----------
        law : str
            "lr_exponent", "isoflop", "parametric", "second_opinion", "envelope", or the form.
        variant : str, optional
            Needed where the study has several.
        version : int, optional
            By default the newest.

        Raises
        ------
        NotFound
            There is no such fit; the message names those there are.
        UsageError
            Several variants have it.
        """
        analysis = ANALYSES[0] if law == LR_EXPONENT else ANALYSES[1]
        everything = list(self._read_fits(analysis, version))
        refused = [fit for fit in everything if fit.law in ANALYSES]  # the analysis as a whole
        named = [fit for fit in everything if law in (fit.law, fit.form)]
        found = refused or [fit for fit in named if variant in (None, fit.variant)]
        if len(found) > 1:
            variants = ", ".join(repr(fit.variant) for fit in found)
            raise UsageError(f"study {self.slug}: {law} has the variants {variants}; name one")
        if not found:
            known = ", ".join(sorted({f"{fit.law} of {fit.variant!r}" for fit in everything}))
            raise NotFound(f"study {self.slug} has no fit {law!r} of {variant!r}; it has: {known}")
        return found[0]

    def figures(self) -> tuple[str, ...]:
        """Return the names that `figure` takes."""
        return FIGURES

    def figure_document(self, name: str, **options: str) -> dict[str, Any]:
        """Return what the page draws: data and layout for Plotly, caption, table, counts."""
        return self._api.get(f"{self._path}/figures/{quote(name, safe='')}", options)

    def figure(self, name: str, **options: str) -> Any:
        """Return a figure of the study's page as a `plotly.graph_objects.Figure`.

        Raises
        ------
        UsageError
            plotly is not installed.
        """
        try:
            plotly = import_module("plotly.graph_objects")
        except ImportError:
            raise UsageError(
                "figure() needs plotly: pip install plotly, or use figure_document()"
            ) from None
        document = self.figure_document(name, **options)
        figure = plotly.Figure({"data": document["data"], "layout": document["layout"]})
        return figure.update_layout(title={"text": document.get("title", "")})

    def _read_fits(self, analysis: str, version: int | None) -> Iterator[RemoteFit]:
        document = self.result(analysis, version)
        if document is None:
            return
        result = document["result"]
        about = {**document, "settings": result.get("settings")}
        if result.get("refusal"):
            yield RemoteFit(about, analysis, "", result["refusal"])
        for part in result.get("variants") or []:
            yield from _split_variant(about, analysis, part)

    def __repr__(self) -> str:
        return f"RemoteStudy({self.project}/{self.slug})"


def _split_variant(
    about: Mapping[str, Any], analysis: str, part: Mapping[str, Any]
) -> Iterator[RemoteFit]:
    variant = str(part.get("variant", ""))
    if analysis == ANALYSES[0]:
        yield RemoteFit(about, LR_EXPONENT, variant, part["exponent"])
        return
    frontiers = {item["approach"]: item for item in part.get("frontiers") or []}
    for name, inner in part.items():
        if isinstance(inner, Mapping) and inner.keys() & {"code", "params"}:
            frontier = frontiers.get(str(inner.get("law")))
            yield RemoteFit(about, name, variant, inner, frontier)


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
