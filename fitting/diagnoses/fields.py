"""What tables, filters and orders of runs may name of their diagnoses."""

from __future__ import annotations

from fitting.maths.diagnose.registry import list_diagnostics
from fitting.maths.diagnose.verdict import SEVERITIES
from runs.fields import LEVEL, NUMBER, Field


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
            "diagnosis__first_bad_step",
            is_step=True,
            label="First bad step",
            title="earliest step since which a diagnostic is at warn or critical",
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
