"""The analyses of a study: what each reads, computes and stores. Workers only."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from fitting.inputs import LrSweepInput
from fitting.maths.lr_sweep import LrSweepSettings, analyse_lr_sweep
from fitting.models import FitKind, Study
from fitting.queries import LR_SWEEP

__all__ = ["LR_SWEEP", "LR_SWEEP_VERSION", "REPLICAS", "run_lr_sweep"]
LR_SWEEP_VERSION = 1  # raise it when the same data would give another result
# 1,000 replicas of a sweep of 4 sizes x 7 rates x 2 variants take 10 ms, 10,000 take 90 ms.
REPLICAS = {FitKind.FAST: settings.REFIT_BOOTSTRAPS, FitKind.DEEP: 10 * settings.REFIT_BOOTSTRAPS}


def run_lr_sweep(data: LrSweepInput, study: Study, kind: FitKind) -> dict[str, object]:
    """Analyse the sweep and return the result as it is stored."""
    options = study.settings.get("lr_sweep", {})
    chosen = LrSweepSettings(replicas=REPLICAS[kind], **_known_options(options))
    result = analyse_lr_sweep(data.table, chosen)
    return {
        **result.to_dict(),
        **data.describe(),
        "settings": {
            **result.settings.to_dict(),
            "estimator": study.estimator,
            "tail_fraction": study.tail_fraction,
        },
        "warnings": list(data.rows.warnings),
        "version": LR_SWEEP_VERSION,
    }


def _known_options(options: Mapping[str, object]) -> dict[str, object]:
    known = ("seed", "neighbours", "stable_excess")
    return {name: options[name] for name in known if name in options}
