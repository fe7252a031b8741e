"""The demo runs as data: every part is a list of cells, every cell one training run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product

from demo.recipe import Recipe
from demo.shape import SEQ_LEN, Shape

BATCH_WINDOWS = 16
BATCH_TOKENS = BATCH_WINDOWS * SEQ_LEN
NAMESPACE = uuid.UUID("5ca1eda5-0000-5000-8000-64656d6f2d31")
LRS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
WIDTHS = (16, 32, 48, 64, 96, 128)
SWITCH = (False, True)
MIN_WARMUP_STEPS = 5
ROWS_IN_LONG_RUNS = 150

ISOFLOP_WIDTHS = {
    1e11: (8, 16, 24, 32, 48),
    3e11: (8, 16, 24, 32, 48, 64),
    1e12: (16, 24, 32, 48, 64, 96),
    3e12: (24, 32, 48, 64, 96),
}
HELD_OUT_FLOPS = 1e13
HELD_OUT_WIDTHS = (48, 64, 96, 128)
# Milliseconds a step on one core of a 2024 server processor, one thread; only for planning.
STEP_MS = {8: 4.3, 16: 4.2, 24: 7.3, 32: 8.6, 48: 13.5, 64: 19.5, 96: 35, 128: 58}
LOGITS_MS = 3.0  # for every further 256 words of the vocabulary
VALIDATION_STEPS = 50  # a run's validation costs about as much as this many of its steps


@dataclass(frozen=True)
class Cell:
    """One run; fields that keep their default stay out of its name."""

    part: str
    width: int
    lr: float
    steps: int
    qk_norm: bool = True
    seed: int = 0
    z_loss: float = 0.0
    weight_decay: float = 1e-4
    wd_mode: str = "independent"
    adam_eps: float = 1e-8
    warmup_share: float = 0.1
    parametrization: str = "sp"
    kappa: float | None = None
    every_step: bool = False
    budget: float | None = None
    vocab: int = 256
    bf16_logits: bool = False

    @property
    def uid(self) -> str:
        """The run's id, the same wherever and whenever the cell is trained."""
        text = " ".join(f"{key}={value!r}" for key, value in asdict(self).items())
        return uuid.uuid5(NAMESPACE, text).hex

    @property
    def name(self) -> str:
        parts = [
            self.part,
            f"d{self.width}",
            f"lr{self.lr:g}",
            f"qk-{'on' if self.qk_norm else 'off'}",
        ]
        if self.budget is not None:
            parts.append(f"C{self.budget:.0e}".replace("+", ""))
        parts += [f"{label}{value:g}" for label, value in self._options() if value is not None]
        if self.wd_mode != "independent":
            parts.append(self.wd_mode)
        if self.parametrization != "sp":
            parts.append(self.parametrization)
        if self.vocab != 256:
            parts.append(f"v{self.vocab}")
        return "-".join([*parts, f"s{self.seed}"])

    def _options(self) -> Iterator[tuple[str, float | None]]:
        """Numbers that a part varies, under the short names that run names use."""
        defaults = Cell("", 0, 0, 0)
        labels = {"z_loss": "z", "weight_decay": "wd", "adam_eps": "eps", "warmup_share": "wu"}
        for field, label in {**labels, "kappa": "kappa"}.items():
            value = getattr(self, field)
            yield label, None if value == getattr(defaults, field) else value

    @property
    def shape(self) -> Shape:
        return Shape(
            self.width,
            qk_norm=self.qk_norm,
            kappa=self.kappa,
            vocab=self.vocab,
            bf16_logits=self.bf16_logits,
        )

    @property
    def recipe(self) -> Recipe:
        share = self.warmup_share
        warmup = max(MIN_WARMUP_STEPS, round(share * self.steps)) if share else 0
        return Recipe(
            peak_lr=self.lr,
            total_steps=self.steps,
            warmup_steps=warmup,
            weight_decay=self.weight_decay,
            wd_mode=self.wd_mode,
            eps=self.adam_eps,
            parametrization=self.parametrization,
        )

    @property
    def log_every(self) -> int:
        if self.every_step:
            return 1
        if self.steps <= 300:
            return 5
        return max(10, round(self.steps / ROWS_IN_LONG_RUNS))

    @property
    def cost_seconds(self) -> float:
        """Planned seconds on one core."""
        step_ms = STEP_MS[self.width] + LOGITS_MS * (self.vocab // 256 - 1)
        return step_ms / 1e3 * (self.steps + VALIDATION_STEPS) + 1.0


def make_sweep() -> list[Cell]:
    """A1: learning rate x width x QK-norm, two seeds up to width 64."""
    cells = []
    for width, lr, qk_norm in product(WIDTHS, LRS, SWITCH):
        seeds = (0, 1) if width <= 64 else (0,)
        cells += [Cell("A1", width, lr, 600, qk_norm=qk_norm, seed=seed) for seed in seeds]
    return cells


def make_short_sweep() -> list[Cell]:
    """A2: the same grid, a third as long."""
    grid = product(WIDTHS, LRS, SWITCH)
    return [Cell("A2", width, lr, 200, qk_norm=qk_norm) for width, lr, qk_norm in grid]


def make_seed_noise() -> list[Cell]:
    """A3: more seeds for the spread, and four runs that log every step."""
    pairs = list(product((1e-2, 1e-1), SWITCH))
    noise = [
        Cell("A3", 32, lr, 600, qk_norm=qk_norm, seed=seed)
        for (lr, qk_norm), seed in product(pairs, (2, 3))
    ]
    fine = [
        Cell("A3", 64, lr, 600, qk_norm=qk_norm, seed=2, every_step=True) for lr, qk_norm in pairs
    ]
    return noise + fine


def count_steps(budget: float, width: int) -> int:
    """Steps that spend a FLOP budget at this width."""
    return round(budget / (Shape(width).flops_per_token * BATCH_TOKENS))


def make_isoflop() -> list[Cell]:
    """B: four FLOP budgets, five or six widths each; the best LR of a cell is the point."""
    cells = []
    for budget, widths in ISOFLOP_WIDTHS.items():
        lrs = (3e-3, 1e-2, 3e-2) if budget == 3e12 else (1e-2, 3e-2)
        cells += [
            Cell("B", width, lr, count_steps(budget, width), budget=budget)
            for width, lr in product(widths, lrs)
        ]
    return cells


def make_held_out_budget() -> list[Cell]:
    """B2: a budget 3.3 times the largest fitted one, trained after its forecast is frozen."""
    return [
        Cell("B2", width, 1e-2, count_steps(HELD_OUT_FLOPS, width), budget=HELD_OUT_FLOPS)
        for width in HELD_OUT_WIDTHS
    ]


def make_interventions() -> list[Cell]:
    """C: what is said to help, one change at a time; QK-norm on unless logits are forced."""
    z_and_decay = [
        Cell("C", 32, lr, 800, z_loss=z_loss, weight_decay=decay)
        for lr, z_loss, decay in product((1e-1, 3e-1), (0.0, 1e-4), (0.0, 1e-4))
    ]
    eps = [Cell("C", 64, 3e-1, 600, adam_eps=value) for value in (1e-6, 1e-8, 1e-15)]
    warmup = [
        Cell("C", 64, lr, 600, warmup_share=share)
        for lr, share in product((3e-2, 1e-1, 3e-1), (0.0, 0.03))
    ]
    coupled = [Cell("C", 64, lr, 600, weight_decay=0.1, wd_mode="coupled") for lr in LRS]
    simple_mu = [
        Cell("C", width, lr, 600, parametrization="mup-simple")
        for width, lr in product((16, 32, 64, 128), LRS)
    ]
    forced = [
        Cell("C", 32, 1e-2, 600, qk_norm=False, kappa=kappa)
        for kappa in (1.0, 1e1, 1e2, 1e3, 3e3, 1e4)
    ]
    return z_and_decay + eps + warmup + coupled + simple_mu + forced


def make_output_logits() -> list[Cell]:
    """D: an attempt at output-logit divergence: bf16 logits, larger vocabulary, long, no decay."""
    return [
        Cell("D", 64, lr, 5000, z_loss=z_loss, weight_decay=0.0, vocab=4096, bf16_logits=True)
        for lr, z_loss in product((1e-1, 3e-1), (0.0, 1e-4))
    ]


def make_smoke() -> list[Cell]:
    """Two runs of seconds, to see the whole way work."""
    return [Cell("smoke", 16, lr, 20) for lr in (1e-2, 1e-1)]


PARTS = {
    "smoke": make_smoke,
    "A1": make_sweep,
    "B": make_isoflop,
    "C": make_interventions,
    "A2": make_short_sweep,
    "A3": make_seed_noise,
    "B2": make_held_out_budget,
    "D": make_output_logits,
}
STUDIES_OF_PART = {
    "A1": ("lr-sweep",),
    "A3": ("lr-sweep",),
    "B": ("compute-optimal",),
    "B2": ("compute-optimal",),
    "C": ("interventions",),
    "D": ("output-logits",),
}


def list_studies(cell: Cell) -> list[str]:
    """Studies that a run belongs to; the sweep with QK-norm is what interventions compare with."""
    baseline = ["interventions"] if cell.part == "A1" and cell.qk_norm else []
    return [*STUDIES_OF_PART.get(cell.part, ()), *baseline]


def list_cells(parts: list[str]) -> list[Cell]:
    """Cells of these parts, most expensive first inside each part."""
    cells = []
    for part in parts:
        cells += sorted(PARTS[part](), key=lambda cell: (-cell.cost_seconds, cell.name))
    return cells
