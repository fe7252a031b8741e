"""A diagnosis is the same however its points arrive, and its state survives storage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.maths.diagnose.case import RunConfig
from fitting.maths.diagnose.history import History
from fitting.maths.diagnose.panel import judge_all, update_all
from fitting.maths.diagnose.spikes import PRESETS, Scorer
from fitting.maths.diagnose.state import pack_state, unpack_state
from fitting.maths.diagnose.texture import Texture
from fitting.maths.diagnose.track import Track

from .planted import list_planted

CONFIG = RunConfig({"total_steps": 4000, "clip": 1.0, "adam_eps": 1e-8, "seq_len": 64})
METRICS = ("loss.train", "optim.grad_norm", "attn.max_logit.L0", "adam.rms.x", "grad.rms.a")


def make_points(seed: int, n: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    found = {}
    for name in METRICS:
        steps = np.cumsum(rng.integers(1, 4, n))
        values = np.exp(rng.normal(0, 1, n)) + 3
        values[rng.random(n) < 0.01] = rng.choice([np.nan, np.inf, -np.inf, 1e200, 100.0])
        found[name] = (steps, values)
    return found


def assert_same(left: object, right: object) -> None:
    if isinstance(left, dict):
        assert left.keys() == right.keys()  # type: ignore[attr-defined]
        for name in left:
            assert_same(left[name], right[name])  # type: ignore[index]
    elif isinstance(left, tuple):
        assert len(left) == len(right)  # type: ignore[arg-type]
        for one, other in zip(left, right, strict=True):  # type: ignore[call-overload]
            assert_same(one, other)
    elif isinstance(left, Track | History | Texture | Scorer) or hasattr(left, "scorers"):
        assert_same(dict(vars(left)), dict(vars(right)))
    elif isinstance(left, np.ndarray) and left.dtype.kind == "f":
        np.testing.assert_allclose(left, right, rtol=1e-9)  # type: ignore[arg-type]
    elif isinstance(left, np.ndarray):
        np.testing.assert_array_equal(left, right)  # type: ignore[arg-type]
    elif isinstance(left, float) and left != left:
        assert right != right
    else:
        assert left == pytest.approx(right, rel=1e-9) if isinstance(left, float) else left == right


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.sampled_from([1, 30, 130, 1300, 3000]),
    cuts=st.lists(st.floats(0, 1), max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_any_split_of_the_points_ends_in_the_same_state(
    seed: int, n: int, cuts: list[float], order: object
) -> None:
    points = make_points(seed, n)
    whole = update_all({}, points, CONFIG)
    pieces = []
    for name, (steps, values) in points.items():
        places = sorted({0, n, *(int(cut * n) for cut in cuts)})
        parts = [slice(a, b) for a, b in itertools.pairwise(places)]
        pieces.append([(name, steps[part], values[part]) for part in parts])
    state: dict[str, dict[str, object]] = {}
    while any(pieces):
        queue = order.choice([piece for piece in pieces if piece])  # type: ignore[attr-defined]
        name, steps, values = queue.pop(0)
        state = update_all(state, {name: (steps, values)}, CONFIG)  # type: ignore[arg-type, assignment]
        if order.random() < 0.2:  # type: ignore[attr-defined]
            state = unpack_state(pack_state(state))  # type: ignore[assignment]
    for slug, its in whole.items():
        assert_same(dict(its), dict(state.get(slug, {})))


def test_stored_state_gives_the_same_verdicts() -> None:
    item = next(item for item in list_planted() if item.name == "recovered spike 0")
    state = update_all({}, item.points, item.run_config)
    again = unpack_state(pack_state(state))
    assert judge_all(again, item.run_config) == judge_all(state, item.run_config)  # type: ignore[arg-type]


def test_state_of_a_long_series_stays_small() -> None:
    steps = np.arange(200_000)
    rng = np.random.default_rng(0)
    history = History.empty(1024).extend(steps, rng.normal(size=steps.size))
    assert len(history.first) <= 1024
    assert (
        sum(array.nbytes for array in vars(history).values() if isinstance(array, np.ndarray))
        <= 65536
    )


@pytest.mark.parametrize("preset", ["olmo2", "olmo-core"])
def test_spike_scores_equal_a_plain_computation(preset: str) -> None:
    rule = PRESETS[preset]
    rng = np.random.default_rng(3)
    values = 2 + rng.normal(0, 0.05, 5000)
    values[[1500, 2500, 2501, 4000]] += [1.0, 2.0, -3.0, 1e6]
    scorer = Scorer.start(preset).extend(np.arange(5000), values)
    plain = []
    for place in range(rule.window, 5000):
        before = values[place - rule.window : place]
        distance = values[place] - before.mean()
        distance = abs(distance) if rule.two_sided else distance
        if before.std() > 1e-10 and distance >= rule.limit * before.std():
            plain.append(place)
    assert scorer.steps.tolist() == plain
    assert scorer.n_scored == 5000 - rule.window


def test_five_values_in_a_row_make_one_kill_spike() -> None:
    values = np.full(400, 2.0)
    values[200:206] = 10.0
    values[300:304] = 10.0
    scorer = Scorer.start("kill-loss-spike").extend(np.arange(400), values)
    assert scorer.steps.tolist() == [204]


def test_huge_value_leaves_no_rounding_error_behind() -> None:
    rng = np.random.default_rng(4)
    values = 2 + rng.normal(0, 0.05, 3000)
    values[500] = 1e30
    scorer = Scorer.start("olmo-core").extend(np.arange(3000), values)
    clean = Scorer.start("olmo-core").extend(np.arange(2000), values[1000:])
    assert (scorer.steps[scorer.steps >= 1128] - 1000).tolist() == clean.steps.tolist()


def test_moving_average_is_told_from_white_noise_on_a_trend() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=2000)
    trend = np.linspace(0, 30, 2000)
    smooth = np.convolve(noise, np.ones(20) / 20, "same")
    assert not Texture.empty().extend(trend + noise).is_smoothed
    assert Texture.empty().extend(trend + smooth).is_smoothed
