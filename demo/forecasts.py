"""Forecasts of the demo: the largest runs are held back until the smaller ones have been fitted.

Every forecast is frozen by the server from its own fit of the runs loaded so far; the runs that
score it are loaded afterwards, as they would arrive from training jobs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from demo.connection import ApiRefused, Connection, Document
from demo.grid import (
    BATCH_TOKENS,
    HELD_OUT_FLOPS,
    Cell,
    make_held_out_budget,
    make_isoflop,
    make_seed_noise,
    make_sweep,
)
from demo.studies import COMPUTE_OPTIMAL, LR_SWEEP, PROJECT

Run = dict[str, Any]
HELD_WIDTH, HELD_FLOPS = 128, 3e12  # the largest width of the sweep, the largest fitted budget
LOGIT_LRS = (0.01, 0.03, 0.1)  # at which attention logits grow and runs still train
MIDDLE_WIDTH = 48  # of the held budget; its loss is forecast
APPROACHES = ("isoflop", "chinchilla_parametric")
UNFORECAST = "C"  # loaded last of its stage, while the fits of the others are computed
FILLER = "A2"  # runs of no study travel while the fits of the held runs are computed
WAIT_SECONDS, POLL_SECONDS = 45.0, 0.5


@dataclass(frozen=True)
class Wish:
    """A forecast to freeze: what of which study, and the runs whose diagnoses it reads."""

    study: str
    target: Document
    diagnosed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """Runs that are loaded together, and what is frozen before the first of them arrives.

    `scoring` are the ids of those among them that the forecasts wait for.
    """

    runs: list[Run]
    wishes: list[Wish]
    scoring: list[str]


def plan_stages(runs: list[Run]) -> list[Stage]:
    """Cut the runs into those that are fitted, those held back, and the budget beyond them."""
    held_ids = {cell.uid for cell in list_held()}
    beyond_ids = {cell.uid for cell in make_held_out_budget()}
    held = [run for run in runs if run["id"] in held_ids]
    beyond = [run for run in runs if run["id"] in beyond_ids]
    filler = [run for run in runs if run["group"] == FILLER]
    placed = {run["id"] for run in (*held, *beyond, *filler)}
    first = [run for run in runs if run["id"] not in placed]
    first.sort(key=lambda run: run["group"] == UNFORECAST)
    return [
        Stage(first, [], []),
        Stage([*held, *filler], list_held_wishes(), [run["id"] for run in held]),
        Stage(beyond, list_beyond_wishes(), [run["id"] for run in beyond]),
    ]


def list_held() -> list[Cell]:
    """Cells that are loaded after the first fits: they score the first forecasts."""
    wide = [cell for cell in make_sweep() if cell.width == HELD_WIDTH]
    return wide + [cell for cell in make_isoflop() if cell.budget == HELD_FLOPS]


def list_held_wishes() -> list[Wish]:
    """What is forecast from the smaller runs: the largest width's LR, the largest budget."""
    middle = next(cell for cell in list_held() if cell.width == MIDDLE_WIDTH)
    wide = {cell.qk_norm: cell for cell in list_held() if cell.width == HELD_WIDTH}
    best_lrs = [
        {
            "quantity": "optimal_lr",
            "n": str(wide[qk_norm].shape.n_params_non_embedding),
            "variant": f"qk_norm={'ln' if qk_norm else 'none'}",
        }
        for qk_norm in (True, False)
    ]
    compute = [ask_loss(middle), *ask_sizes(HELD_FLOPS)]
    return [
        *(Wish(str(COMPUTE_OPTIMAL["slug"]), target) for target in compute),
        *(Wish(str(LR_SWEEP["slug"]), target) for target in best_lrs),
        *list_logit_wishes(),
    ]


def list_logit_wishes() -> list[Wish]:
    """The attention logits of the largest width without QK-norm, from those of the smaller ones."""
    cells = (*make_sweep(), *make_seed_noise())
    bare = [cell for cell in cells if not cell.qk_norm and cell.lr in LOGIT_LRS]
    size = next(c.shape.n_params_non_embedding for c in bare if c.width == HELD_WIDTH)
    read = tuple(cell.uid for cell in bare if cell.width < HELD_WIDTH)
    target = {"quantity": "max_logit", "n": str(size), "variant": "qk_norm=none"}
    slug = str(LR_SWEEP["slug"])
    return [Wish(slug, {**target, "lr": f"{lr:g}"}, read) for lr in LOGIT_LRS]


def list_beyond_wishes() -> list[Wish]:
    """What is forecast from the whole of part B for a budget that no fit has seen."""
    targets = [*ask_sizes(HELD_OUT_FLOPS), *map(ask_loss, make_held_out_budget())]
    return [Wish(str(COMPUTE_OPTIMAL["slug"]), target) for target in targets]


def ask_loss(cell: Cell) -> Document:
    """The target of a cell's final loss."""
    n_params, n_tokens = cell.shape.n_params_non_embedding, cell.steps * BATCH_TOKENS
    return {"quantity": "loss", "n": str(n_params), "d": str(n_tokens)}


def ask_sizes(flops: float) -> list[Document]:
    """The targets of the compute-optimal size of a budget, by each approach."""
    budget = {"quantity": "optimal_size", "c": f"{flops:g}"}
    return [{**budget, "approach": approach} for approach in APPROACHES]


def freeze_before(server: Connection, stage: Stage) -> int:
    """Freeze what a stage wishes; returns how many, 0 once a run that scores them is there."""
    if not stage.scoring or has_run(server, stage.scoring[0]):
        return 0
    return freeze_forecasts(server, stage.wishes)


def has_run(server: Connection, uid: str) -> bool:
    """Say whether the demo project has a run."""
    try:
        server.get(f"/api/v1/runs/{uid}?project={PROJECT['slug']}")
    except ApiRefused as refusal:
        if refusal.status != 404:
            raise
        return False
    return True


def freeze_forecasts(server: Connection, wishes: list[Wish]) -> int:
    """Freeze each forecast once its study is fitted; returns how many the fits could give."""
    listed = server.get(f"/api/v1/studies?project={PROJECT['slug']}")["items"]
    places = {study["slug"]: f"/api/v1/studies/{study['id']}" for study in listed}
    frozen = 0
    for slug in dict.fromkeys(wish.study for wish in wishes if wish.study in places):
        at = places[slug]
        uids = {uid for wish in wishes if wish.study == slug for uid in wish.diagnosed}
        if wait_for_diagnoses(server, sorted(uids)) and wait_for_fit(server, at):
            targets = [wish.target for wish in wishes if wish.study == slug]
            frozen += sum(freeze(server, at, target) for target in targets)
    return frozen


def freeze(server: Connection, at: str, target: Document) -> bool:
    """Freeze one forecast; False where the study's fit cannot give it."""
    try:
        server.post(f"{at}/forecasts", target)
    except ApiRefused as refusal:
        if refusal.status != 422:
            raise
        return False
    return True


def wait_for_diagnoses(server: Connection, uids: list[str]) -> bool:
    """Wait until each of these runs has been judged by all of its points; False if not in time."""
    deadline = time.monotonic() + WAIT_SECONDS
    for uid in uids:
        path = f"/api/v1/runs/{uid}/diagnoses?project={PROJECT['slug']}"
        while server.get(path)["state"] != "ready":
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
    return True


def wait_for_fit(server: Connection, at: str) -> bool:
    """Wait until the study's fit is of all data loaded so far; False where none comes."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if server.get(at)["progress"]["state"] == "ready":
            return True
        time.sleep(POLL_SECONDS)
    return False
