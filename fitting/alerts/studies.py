"""What a study's new fits tell of: verdicts on its runs together, and forecasts that came due.

Workers alone import this. It is called in the transaction that publishes the fits.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.db import DatabaseError, transaction

from fitting.alerts.models import Alert, AlertKind, Level
from fitting.alerts.raising import is_unwatched, raise_alerts
from fitting.alerts.verdicts import raise_study_verdicts
from fitting.forecast_page import describe_forecast
from fitting.models import Forecast, Study
from fitting.queries import StudyView, view_study

logger = logging.getLogger(__name__)


def tell_of_fits(study: Study, results: Mapping[str, Mapping[str, object]]) -> list[Alert]:
    """Alert on what these results say; an error here costs an alert, never the fit."""
    try:
        with transaction.atomic():
            told = raise_study_verdicts(study, results.values())
            return told + raise_scores(study)
    except DatabaseError:
        raise
    except Exception:  # whatever the pages' sentences stumble over must not lose the fit
        logger.exception("no alerts for the fits of study %s", study.pk)
        return []


def raise_scores(study: Study) -> list[Alert]:
    """Alert on each frozen forecast the first time that runs have tested it."""
    told = Alert.objects.filter(study=study, kind=AlertKind.FORECAST)
    keys = set(told.values_list("key", flat=True))
    forecasts = Forecast.objects.filter(study=study).select_related("fit", "created_by")
    waiting = [forecast for forecast in forecasts if make_key(forecast) not in keys]
    if not waiting:
        return []
    view = view_study(study)
    made = (_make_score(study, forecast, view) for forecast in waiting)
    return raise_alerts([alert for alert in made if alert is not None])


def make_key(forecast: Forecast) -> str:
    """Return the key of the alert about a forecast."""
    return f"forecast:{forecast.pk}"


def _make_score(study: Study, forecast: Forecast, view: StudyView) -> Alert | None:
    document = describe_forecast(forecast, view)
    score = document["score"]
    if not isinstance(score, dict):
        return None
    is_inside = score["is_inside"]
    verdict = {True: "inside its interval", False: "outside its interval", None: "no interval"}
    sentence = (
        f"{document['label']} at {document['target_text']}: predicted {document['value_text']}, "
        f"measured {score['measured_text']} ({score['error_text']}, {verdict[is_inside]})."
    )
    return Alert(
        project_id=study.project_id,
        study=study,
        kind=AlertKind.FORECAST,
        severity=Level.WARN if is_inside is False else Level.INFO,
        title="Forecast scored",
        sentence=sentence,
        is_quiet=is_unwatched(study),
        key=make_key(forecast),
    )
