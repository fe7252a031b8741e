"""Studies as the server knows them: their runs, fits, forecasts and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scaledash.client.errors import NotFound, UsageError
from scaledash.client.frames import DataFrame, make_table
from scaledash.client.nonfinite import read_value
from scaledash.client.remote_fit import (
    COMPUTE_OPTIMAL,
    LR_EXPONENT,
    LR_SWEEP,
    PARTS,
    Forecast,
    Prediction,
    RemoteFit,
    read_forecast,
    read_prediction,
    split_variant,
)

if TYPE_CHECKING:
    from scaledash.client.api import Api


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

    @property
    def analyses(self) -> tuple[str, ...]:
        """Names of the analyses that the server makes of a study."""
        return tuple(self._describe()["analyses"])

    def fits(self, law: str | None = None) -> list[RemoteFit]:
        """Return every law of the newest analyses, refused ones too; by name or form of the law."""
        found = [fit for analysis in self.analyses for fit in self._read_fits(analysis, None)]
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
        home = LR_SWEEP if law == LR_EXPONENT else COMPUTE_OPTIMAL
        seen: list[RemoteFit] = []
        for analysis in sorted(self.analyses, key=lambda name: name != home):
            fits = list(self._read_fits(analysis, version))
            refused = [fit for fit in fits if fit.law == analysis == home]  # all laws of it at once
            named = [fit for fit in fits if law in (fit.law, fit.form)]
            found = refused or [fit for fit in named if variant in (None, fit.variant)]
            if len(found) > 1:
                variants = ", ".join(repr(fit.variant) for fit in found)
                raise UsageError(f"study {self.slug}: {law} has the variants {variants}; name one")
            if found:
                return found[0]
            seen += fits
        known = ", ".join(sorted({f"{fit.law} of {fit.variant!r}" for fit in seen})) or "none"
        of = "" if variant is None else f" of {variant!r}"
        raise NotFound(f"study {self.slug} has no fit {law!r}{of}; it has: {known}")

    def predict(
        self,
        quantity: str,
        *,
        variant: str = "",
        approach: str | None = None,
        **place: float | None,
    ) -> Prediction:
        """Return what the newest laws say, with its interval, as the page of forecasts does.

        The interval is of 95 %, that of an attention logit of 80 %.

        Parameters
        ----------
        quantity : str
            "loss" of a run of N and D, "optimal_size" of a budget C, "optimal_lr" at a size N,
            "max_logit" of a run of N at a peak learning rate lr: its largest attention logit at
            the study's early step.
        variant : str
            Which runs, such as "qk_norm=ln"; by default the largest variant.
        approach : str, optional
            Law that gives the optimal size; by default the parametric one.
        **place : float
            N, D, C and lr: parameters, tokens, FLOPs, peak learning rate; those that the
            quantity needs.

        Raises
        ------
        Refused
            No law of the study gives it; the message says why.
        """
        asked = _write_target(quantity, place, variant, approach)
        return read_prediction(self._api.get(f"{self._path}/predict", asked))

    def freeze(
        self,
        quantity: str,
        *,
        variant: str = "",
        approach: str | None = None,
        **place: float | None,
    ) -> Forecast:
        """Put what `predict` says now into the register; it is never changed afterwards.

        Takes what `predict` takes.

        Raises
        ------
        Refused
            No law of the study gives it; the message says why, and nothing is frozen.
        """
        asked = _write_target(quantity, place, variant, approach)
        return read_forecast(self._api.post(f"{self._path}/forecasts", asked))

    def forecasts(self) -> list[Forecast]:
        """Return the forecasts of the register, newest first, with their scores."""
        return [read_forecast(item) for item in self._api.list_items(f"{self._path}/forecasts", {})]

    def figures(self) -> tuple[str, ...]:
        """Return the names that `figure` takes, as the server lists them."""
        return tuple(figure["name"] for figure in self._describe()["figures"])

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

    def _describe(self) -> Mapping[str, Any]:
        """Return the whole description; the items of a list lack some of it."""
        if "figures" not in self.document:
            self.document = self._api.get(self._path, {})
        return self.document

    def _read_fits(self, analysis: str, version: int | None) -> Iterator[RemoteFit]:
        document = self.result(analysis, version)
        if document is None:
            return
        result = document["result"]
        about = {**document, "analysis": analysis, "settings": result.get("settings")}
        if result.get("refusal"):
            yield RemoteFit(about, analysis, "", result["refusal"])
        for part in (part for member in PARTS for part in result.get(member) or []):
            yield from split_variant(about, part, self._predict_loss if version is None else None)

    def _predict_loss(self, variant: str, N: float, D: float) -> Prediction:
        return self.predict("loss", N=N, D=D, variant=variant)

    def __repr__(self) -> str:
        return f"RemoteStudy({self.project}/{self.slug})"


PLACES = {"N": "n", "D": "d", "C": "c", "lr": "lr"}


def _write_target(
    quantity: str, place: Mapping[str, float | None], variant: str, approach: str | None
) -> dict[str, str]:
    unknown = sorted(set(place) - set(PLACES))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no place; say {', '.join(PLACES)}")
    numbers = {
        PLACES[name]: repr(float(value)) for name, value in place.items() if value is not None
    }
    named = {"variant": variant, "approach": approach}
    return {"quantity": quantity, **numbers, **{key: text for key, text in named.items() if text}}
