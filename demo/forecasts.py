"""Forecasts of the demo: the largest runs are held back until the smaller ones have been fitted.

Every forecast is frozen by the server from its own fit of the smaller runs; the runs that score it
are loaded afterwards, as they would arrive from training jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from demo.connection import ApiRefused, Connection, Document
from demo.studies import COMPUTE_OPTIMAL, LR_SWEEP, PROJECT

Run = dict[str, Any]
HELD_WIDTH, HELD_BUDGET = 128, "C3e12"  # the largest width of the sweep, the largest budget
WAIT_SECONDS, POLL_SECONDS = 45.0, 0.5
TARGET_WIDTH = 48  # the middle size of the held budget


def is_held(run: Run) -> bool:
    """Say whether a run is loaded only after the forecasts are frozen."""
    if run["group"] == "A1":
        return run["config"]["width"] == HELD_WIDTH
    return run["group"] == "B" and HELD_BUDGET in run["name"]


def list_targets(held: Iterable[Run]) -> list[tuple[str, Document]]:
    """Return study and target of each forecast, read off the runs that will score it."""
    targets: list[tuple[str, Document]] = []
    sizes: dict[str, float] = {}
    for run in held:
        config = run["config"]
        if run["group"] == "A1":
            sizes.setdefault(config["qk_norm"], config["n_params_non_embedding"])
        elif config["width"] == TARGET_WIDTH and not targets:
            tokens, flops = (run["metrics"][key]["values"][-1] for key in ("tokens", "flops"))
            place = {"n": str(config["n_params_non_embedding"]), "d": str(tokens)}
            budget = {"quantity": "optimal_size", "c": str(flops)}
            slug = str(COMPUTE_OPTIMAL["slug"])
            targets += [
                (slug, {"quantity": "loss", **place}),
                (slug, {**budget, "approach": "isoflop"}),
                (slug, {**budget, "approach": "chinchilla_parametric"}),
            ]
    for variant, size in sorted(sizes.items()):
        wanted = {"quantity": "optimal_lr", "n": str(size), "variant": f"qk_norm={variant}"}
        targets.append((str(LR_SWEEP["slug"]), wanted))
    return targets


def freeze_forecasts(server: Connection, held: Iterable[Run]) -> int:
    """Freeze each forecast once its study is fitted; returns how many, 0 where they exist."""
    listed = server.get(f"/api/v1/studies?project={PROJECT['slug']}")["items"]
    studies = {study["slug"]: study["id"] for study in listed}
    targets = [(slug, target) for slug, target in list_targets(held) if slug in studies]
    for slug in {slug for slug, _ in targets}:
        at = f"/api/v1/studies/{studies[slug]}"
        known = server.get(f"{at}/forecasts")["items"]
        if known or not wait_for_fit(server, at):
            targets = [item for item in targets if item[0] != slug]
    frozen = 0
    for slug, target in targets:
        try:
            server.post(f"/api/v1/studies/{studies[slug]}/forecasts", target)
        except ApiRefused as refusal:
            if refusal.status != 422:
                raise
        else:
            frozen += 1
    return frozen


def wait_for_fit(server: Connection, at: str) -> bool:
    """Wait until the study's fit is of all data loaded so far; False where none comes."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if server.get(at)["progress"]["state"] == "ready":
            return True
        time.sleep(POLL_SECONDS)
    return False
