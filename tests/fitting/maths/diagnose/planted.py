"""Sixty planted curves, each with the verdict that it deserves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from fitting.maths.diagnose.case import RunConfig
from fitting.maths.diagnose.panel import judge_all, update_all
from fitting.maths.diagnose.verdict import Verdict

LOSS, NORM, LOGIT = "loss.train", "optim.grad_norm", "attn.max_logit.L0"
BASE = {"loss_at_init": 10.8, "warmup_steps": 200, "dtype": "bfloat16", "clip": 1.0, "seq_len": 64}
Series = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Planted:
    """A run, the diagnostic it is for, and the label that this one must give.

    The label is the class for the loss's shape, the severity elsewhere. `step` is where the
    trouble begins, None where there is none.
    """

    name: str
    diagnostic: str
    label: str
    points: dict[str, Series]
    config: dict[str, object] = field(default_factory=dict)
    step: float | None = None

    @property
    def run_config(self) -> RunConfig:
        last = max(int(steps[-1]) for steps, _ in self.points.values())
        return RunConfig({**BASE, "total_steps": last, **self.config})

    def judge(self) -> dict[str, Verdict]:
        config = self.run_config
        return judge_all(update_all({}, self.points, config), config)


def find_label(verdict: Verdict) -> str:
    """Return the class of a loss's shape, else the severity."""
    return str(verdict.values.get("class", verdict.severity))


def make_loss(seed: int, total: int = 10_000, every: int = 10, noise: float = 0.03) -> Series:
    """Return a healthy loss: a power law on a floor, with independent noise."""
    steps = np.arange(every, total + 1, every, dtype=np.int64)
    rng = np.random.default_rng(seed)
    loss = 2.4 + 8.4 * (1 + steps / 40) ** -0.6
    return steps, loss + rng.normal(0, noise, steps.size)


def add_after(series: Series, onset: float, shape: object) -> Series:
    """Add shape(steps since onset over the run's length) from the onset on."""
    steps, values = series
    late = steps >= onset
    x = (steps[late] - onset) / steps[-1]
    grown = values.copy()
    grown[late] += shape(x)  # type: ignore[operator]
    return steps, grown


def list_planted() -> list[Planted]:
    """Return all curves."""
    found = [*_losses(), *_nonfinite(), *_levels(), *_logits(), *_sources()]
    assert len({item.name for item in found}) == len(found) == 60
    return found


def _loss(
    name: str, label: str, series: Series, step: float | None = None, **config: object
) -> Planted:
    return Planted(name, "loss_shape", label, {LOSS: series}, config, step)


def _losses() -> Iterator[Planted]:
    for seed, (onset, rate, noise, every) in enumerate(
        [(0.5, 3.0, 0.03, 10), (0.6, 2.5, 0.05, 10), (0.4, 4.0, 0.02, 50), (0.7, 3.0, 0.03, 10),
         (0.8, 4.0, 0.04, 20), (0.3, 6.0, 0.03, 5), (0.6, 4.0, 0.08, 20)]
    ):  # fmt: skip
        series = make_loss(seed, every=every, noise=noise)
        grown = add_after(series, onset * 10_000, lambda x, rate=rate: rate * x)
        yield _loss(f"slow divergence {seed}", "slow_divergence", grown, onset * 10_000)
    for seed, (onset, height) in enumerate([(0.3, 12.0), (0.5, 9.0), (0.7, 20.0), (0.9, 15.0)]):
        grown = add_after(make_loss(10 + seed), onset * 10_000, lambda x, h=height: h + 0 * x)
        yield _loss(f"fast divergence {seed}", "fast_divergence", grown, onset * 10_000)
    for seed, (onset, height) in enumerate([(0.4, 1.0), (0.6, 0.6), (0.75, 1.5)]):
        grown = add_after(make_loss(20 + seed), onset * 10_000, lambda x, h=height: h + 0 * x)
        yield _loss(f"jump that stays {seed}", "non_recovering", grown, onset * 10_000)
    for seed, (onset, height, decay) in enumerate(
        [(0.5, 7.6, 0.002), (0.3, 3.0, 0.003), (0.8, 2.0, 0.001), (0.6, 4.0, 0.002),
         (0.9, 1.5, 0.001), (0.2, 5.0, 0.003)]
    ):  # fmt: skip
        shape = lambda x, h=height, d=decay: h * np.exp(-x / d)  # noqa: E731
        grown = add_after(make_loss(30 + seed), onset * 10_000, shape)
        yield _loss(f"recovered spike {seed}", "recovered_spike", grown, onset * 10_000)
    for seed, (onset, height) in enumerate([(0.4, 1.5), (0.5, 2.0), (0.6, 1.0)]):
        shape = lambda x, h=height: h * np.exp(-x / 0.03)  # noqa: E731
        grown = add_after(make_loss(40 + seed), onset * 10_000, shape)
        yield _loss(f"slow recovery {seed}", "slow_recovery", grown, onset * 10_000)
    for seed, noise in enumerate([0.01, 0.05, 0.1]):
        steps, loss = make_loss(50 + seed, noise=noise)
        flat = np.where(steps > 4000, loss[steps <= 4000][-20:].mean(), loss)
        rng = np.random.default_rng(seed)
        series = (steps, flat + rng.normal(0, noise, steps.size))
        yield _loss(f"plateau {seed}", "healthy", series)


def _nonfinite() -> Iterator[Planted]:
    for seed, (onset, value) in enumerate(
        [(0.5, np.nan), (0.3, np.inf), (0.9, np.nan), (0.05, np.nan)]
    ):
        steps, loss = make_loss(60 + seed)
        loss = np.where(steps >= onset * 10_000, value, loss)
        logit = np.where(steps >= onset * 10_000 - 30, np.inf, 5.0)
        points = {LOSS: (steps, loss), LOGIT: (steps, logit)}
        yield Planted(
            f"NaN, attention first {seed}", "loss_shape", "non_finite", points, {}, onset * 10_000
        )
    for seed, onset in enumerate([5000, 8000]):
        steps, loss = make_loss(70 + seed)
        loss = np.where(steps >= onset, loss[steps < onset].mean(), loss)
        norm = np.where(steps >= onset, np.nan, 0.5)
        points = {LOSS: (steps, loss), NORM: (steps, norm)}
        yield Planted(
            f"NaN filtered to a constant {seed}", "loss_shape", "non_finite", points, {}, onset
        )


def _levels() -> Iterator[Planted]:
    for seed, logit in enumerate([2e3, 2e4, 5e4]):
        steps, loss = make_loss(80 + seed)
        points = {
            LOSS: (steps, 0.35 * (loss - 2.4) + 2.9),
            LOGIT: (steps, logit * steps / steps[-1]),
        }
        config = {"baseline_bigram": 2.6, "qk_norm": "none"}
        yield Planted(f"stalled high {seed}", "loss_shape", "stalled_high", points, config)
    for seed in range(2):
        steps, loss = make_loss(85 + seed)
        points = {LOSS: (steps, loss + 0.8), LOGIT: (steps, 4 + 0 * loss)}
        config = {"baseline_bigram": 2.9}
        yield Planted(f"undertrained {seed}", "loss_shape", "undertrained", points, config)
    for seed, share in enumerate([0.02, 0.05, 0.2]):
        yield _skips(f"fp16 skips {seed}", "warn", 90 + seed, share)
    yield _skips("fp16 without skips", "ok", 94, 0.002)


def _skips(name: str, label: str, seed: int, share: float) -> Planted:
    steps, loss = make_loss(seed)
    rng = np.random.default_rng(seed)
    skipped = (rng.random(steps.size) < share).astype(float)
    scale = 65536.0 * 2.0 ** -np.minimum(np.cumsum(skipped), 10)
    points = {
        LOSS: (steps, loss),
        "optim.step_skipped": (steps, skipped),
        "optim.loss_scale": (steps, scale),
    }
    return Planted(name, "loss_scale", label, points, {"dtype": "float16"})


def _logits() -> Iterator[Planted]:
    for seed, (first, label) in enumerate([(3000, "critical"), (6000, "warn"), (2000, "watch")]):
        steps, loss = make_loss(100 + seed)
        top = {"critical": 3e4, "warn": 4e3, "watch": 4e2}[label]
        limit = {"critical": 1e4, "warn": 1e3, "watch": 1e2}[label]
        grown = np.minimum(limit * (steps / first) ** 3, top)
        points = {LOSS: (steps, loss), LOGIT: (steps, grown)}
        yield Planted(f"logit growth to {label}", "attention_logits", label, points, {}, first)
    for seed in range(3):
        steps, loss = make_loss(110 + seed)
        points = {LOSS: (steps, loss), LOGIT: (steps, 5e4 * steps / steps[-1])}
        config = {"softcap_attn": 50.0}
        yield Planted(
            f"soft-capped, large before the cap {seed}",
            "attention_logits",
            "unknown",
            points,
            config,
        )
    for seed in range(4):
        steps, loss = make_loss(120 + seed)
        rng = np.random.default_rng(seed)
        points = {
            LOSS: (steps, loss),
            "logits.mean": (steps, -2 - 3 * np.log10(steps)),
            "logits.logz_mean": (
                steps,
                10.4 - 0.8 * np.log10(steps) + rng.normal(0, 0.1, steps.size),
            ),
        }
        yield Planted(f"healthy, mean logit drifts {seed}", "output_logits", "ok", points)


def _sources() -> Iterator[Planted]:
    for seed, share in enumerate([0.05, 0.03, 0.1]):
        steps, loss = make_loss(130 + seed, noise=0.1)
        smooth = loss.copy()
        for place in range(1, len(loss)):
            smooth[place] = (1 - share) * smooth[place - 1] + share * loss[place]
        yield Planted(f"smoothed source {seed}", "evidence", "watch", {LOSS: (steps, smooth)})
    for seed, n in enumerate([25, 40, 60]):
        series = make_loss(140 + seed, every=10_000 // n)
        yield _loss(f"sparse logging {seed}", "healthy", series)
    for seed, n_restarts in enumerate([1, 3, 8]):
        yield _loss(f"restarts {seed}", "healthy", make_loss(150 + seed), attempt=n_restarts)


def make_confusion_table() -> str:
    """Return the planted labels against the found ones, as Markdown."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for item in list_planted():
        label = find_label(item.judge()[item.diagnostic])
        counts[item.diagnostic, item.label, label] += 1
    lines = ["| diagnostic | planted | found | curves |", "|---|---|---|---|"]
    lines += [f"| `{d}` | {p} | {f} | {n} |" for (d, p, f), n in sorted(counts.items())]
    return "\n".join(lines)


def thin(item: Planted, every: int) -> Planted:
    """Return the curve logged more coarsely."""
    points = {name: (s[::every], v[::every]) for name, (s, v) in item.points.items()}
    return replace(item, points=points)


if __name__ == "__main__":
    print(make_confusion_table())  # noqa: T201
