"""What tables, filters and orders of runs may name of their diagnoses."""

from __future__ import annotations

from django.db.models import F, FloatField, Func, Min, OuterRef, Subquery, TextField

from fitting.alerts.verdicts import ALERTED
from fitting.maths.diagnose.registry import list_diagnostics
from fitting.maths.diagnose.verdict import SEVERITIES
from fitting.models import Alert
from runs.fields import LEVEL, NUMBER, Field

EVIDENCE = "evidence"  # what limits the other verdicts is no instability


def list_fields() -> dict[str, Field]:
    """Return name -> field: the worst severity, the first bad step, and each diagnostic by number.

    `verdict.D1` and `verdict.attention_logits` are the same field.
    """
    found = {
        "severity": Field(
            LEVEL,
            "diagnosis__worst",
            levels=SEVERITIES,
            label="Severity",
            title="worst severity of all diagnostics",
        ),
        "first_bad_step": Field(
            NUMBER,
            measure=_find_first_bad_step(),
            label="First bad step",
            title="at which a diagnostic that warns now first did",
        ),
    }
    for slug, item in list_diagnostics().items():
        field = Field(
            LEVEL,
            f"diagnosis__severities__{slug}",
            levels=SEVERITIES,
            label=item.number,
            title=item.title,
        )
        found[f"verdict.{item.number}"] = found[f"verdict.{slug}"] = field
    return found


def _find_first_bad_step() -> Subquery:
    """Return the earliest step of the newest attempt at which what is bad now became bad."""
    now = Func(
        OuterRef("diagnosis__severities"),
        F("diagnostic"),
        function="jsonb_extract_path_text",
        output_field=TextField(),
    )
    noted = Alert.objects.filter(run=OuterRef("pk"), attempt=OuterRef("attempt"))
    bad = noted.exclude(diagnostic=EVIDENCE).annotate(now=now).filter(now__in=ALERTED)
    first = bad.order_by().values("run").annotate(step=Min("first_step")).values("step")
    return Subquery(first, FloatField())
