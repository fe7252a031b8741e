"""Plain functions that make the objects of fitting tests."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from django.db import transaction
from django.utils import timezone

from fitting import refit
from fitting.models import Study
from fitting.services import StudyWish, add_runs, create_study
from runs.models import Metric, Run, RunState
from runs.signals import batch_stored
from scaledash.lib.jsonsafe import encode_float
from teams.models import Project
from tests.runs.factories import Job
from tests.teams.factories import make_project

LRS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
SIZES = (9_000.0, 37_000.0, 148_000.0)
LOSS_AT_INIT = 5.8
_numbers = count(1)


def make_run(project: Project, loss: float | None = 3.0, **fields: object) -> Run:
    """Create a finished run with its validation loss in the summary."""
    metric = fields.pop("metric", "loss.val")
    values = {
        "uid": f"run{next(_numbers)}",
        "state": RunState.FINISHED,
        "n_params_non_embedding": SIZES[0],
        "peak_lr": 1e-2,
        "seed": 0,
        "loss_at_init": LOSS_AT_INIT,
        "last_step": 600,
        **fields,
    }
    run = Run.objects.create(project=project, **values)
    return run if loss is None else log_loss(run, loss, metric)


def log_loss(run: Run, loss: float, metric: str = "loss.val") -> Run:
    """Commit what an ingested batch with one loss does: summary, revision, dirty rows."""
    Metric.objects.get_or_create(project=run.project, name=metric)
    with transaction.atomic():
        number = encode_float(loss)
        run.summary[metric] = {"last": number, "min": number, "count": 12, "last_step": 600}
        run.rev += 1
        run.changed_at = timezone.now()
        run.save(update_fields=["summary", "rev", "changed_at"])
        batch_stored.send(sender=Run, run_id=run.pk, metrics=[metric])
    return run


def finish(run: Run, state: RunState = RunState.FINISHED) -> Run:
    """End a run the way the server does, without its signal."""
    run.state = state
    run.save(update_fields=["state"])
    return run


def make_study(project: Project | None = None, slug: str | None = None, **wish: object) -> Study:
    project = project or make_project()
    return create_study(project, None, StudyWish(slug or f"study{next(_numbers)}", **wish))


def make_sweep(study: Study, variants: dict[str, float] | None = None) -> list[Run]:
    """Add a sweep whose optimum moves down with size: 3 sizes x 7 learning rates."""
    runs = []
    for variant, steepness in (variants or {"none": 0.05}).items():
        for place, size in enumerate(SIZES):
            for number, lr in enumerate(LRS):
                loss = 2.5 - 0.1 * place + steepness * (number - 4 + place) ** 2
                config = {"qk_norm": variant}
                sized = {"n_params_non_embedding": size, "peak_lr": lr, "config": config}
                runs.append(make_run(study.project, loss, **sized))
    add_runs(study, runs)
    return runs


def settle(limit: int = 500) -> int:
    """Run the engine until nothing is claimable, gaps left out; returns the number of claims.

    A gap is left out only where nothing else is to do, so that a study is not fitted again after
    each of its runs' diagnoses.
    """
    claims = 0
    while refit.run_next(n_workers=1) or (skip_gaps() and refit.run_next(n_workers=1)):
        claims += 1
        assert claims < limit, "the engine does not come to rest"
    return claims


def skip_gaps() -> int:
    """Let the pause after a fit be over; returns how many waited."""
    from fitting.models import FitState

    return FitState.objects.filter(failures=0).exclude(not_before=None).update(not_before=None)


def predict_loss(n_params: float, n_tokens: float) -> float:
    """A law of tiny models, as the demo's runs obey it roughly."""
    return 1.0 + 26.0 * n_params**-0.42 + 880.0 * n_tokens**-0.55


def make_isoflops(
    study: Study, job: Callable[[Run], Job] | None = None, n_sizes: int = 5, **fields: object
) -> list[Run]:
    """Add runs of four budgets, sizes centred on the optimum; `job` logs a loss curve for each."""
    runs = []
    for budget in (1e11, 3e11, 1e12, 3e12):
        centre = 11_000.0 * (budget / 1e11) ** 0.57
        for place in range(n_sizes):
            n = centre * 2.0 ** (place - n_sizes // 2)
            d = budget / (6.0 * n)
            shape = {"n_params_non_embedding": n, "n_tokens": d, "flops": budget, **fields}
            state = RunState.RUNNING if job else RunState.FINISHED
            loss = None if job else predict_loss(n, d)
            run = make_run(study.project, loss, state=state, total_steps=600, **shape)
            if job:
                steps = list(range(60, 601, 60))
                losses = [predict_loss(n, d * step / 600) for step in steps]
                job(run).log(steps, metrics={"loss.val": losses})
                run.refresh_from_db()
                finish(run)
            runs.append(run)
    add_runs(study, runs)
    return runs


def make_ladders(study: Study, n_budgets: int = 8) -> list[Run]:
    """Add two variants that cross at 1e18 FLOPs: `ln` has the lower loss above it."""
    runs = []
    for variant, exponent in (("none", 0.10), ("ln", 0.14)):
        for place in range(n_budgets):
            flops = 1e16 * 4.0**place
            n = 1e7 * 2.0**place
            loss = 1.5 + 2.0 * (flops / 1e18) ** -exponent + 1e-3 * (-1) ** place
            shape = {"n_params_non_embedding": n, "n_tokens": flops / (6 * n), "flops": flops}
            runs.append(make_run(study.project, loss, config={"qk_norm": variant}, **shape))
    add_runs(study, runs)
    return runs


def make_logit_growth(study: Study, open_job: Callable[[dict[str, object]], Job]) -> list[Run]:
    """Log runs whose attention logits grow as lr N and whose gradients fall as 1 / N, 3 sizes."""
    steps = list(range(10, 1001, 10))
    runs = []
    for lr in (1e-2, 1e-1):
        for size in SIZES:
            fields = {"n_params_non_embedding": size, "peak_lr": lr, "loss_at_init": LOSS_AT_INIT}
            job = open_job({**fields, "total_steps": 1000, "adam_eps": 1e-8})
            top = lr * size
            metrics = {
                "loss.train": [2.4 + 3 / (1 + step / 30) for step in steps],
                "attn.max_logit.L0": [max(1.0, top * min(step / 200, 1.0)) for step in steps],
                "grad.rms.block0.mlp_in": [1.0 / size] * len(steps),
                "logits.logz_mean": [6.0] * len(steps),
            }
            job.log(steps, metrics=metrics)
            job.api.post(f"runs/{job.run.uid}/finish", {"state": "finished"})
            runs.append(job.run)
    add_runs(study, runs)
    return runs
