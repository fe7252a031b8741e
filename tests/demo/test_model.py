"""The model and its optimizer do what their formulas say."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed; pip install -r demo/requirements.txt runs this"
)

from demo.model import Probe, Transformer, force_rms  # noqa: E402
from demo.optimizer import FlatAdamW  # noqa: E402
from demo.recipe import Recipe  # noqa: E402
from demo.shape import SEQ_LEN, Shape  # noqa: E402


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("width", [8, 24, 64])
def test_model_has_the_parameters_that_the_formula_counts(width: int, qk_norm: bool) -> None:
    shape = Shape(width, qk_norm=qk_norm)
    counted = sum(parameter.numel() for parameter in Transformer(shape, 0).parameters())
    assert counted == shape.n_params


def test_same_seed_gives_the_same_matrices_with_and_without_qk_norm() -> None:
    on = dict(Transformer(Shape(32, qk_norm=True), 3).named_parameters())
    off = dict(Transformer(Shape(32), 3).named_parameters())
    assert all(torch.equal(on[name], parameter) for name, parameter in off.items())


def test_a_token_sees_no_later_token() -> None:
    model = Transformer(Shape(16, qk_norm=True), 0)
    tokens = torch.arange(SEQ_LEN)[None]
    changed = tokens.clone()
    changed[0, 40:] = 7
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :40], after[:, :40])
    assert not torch.equal(before[:, 40:], after[:, 40:])


def test_probe_sees_every_layer_and_entropy_near_that_of_uniform_attention() -> None:
    probe = Probe()
    Transformer(Shape(16, qk_norm=True), 0)(torch.randint(0, 256, (2, SEQ_LEN)), probe)
    uniform = sum(math.log(n) for n in range(1, SEQ_LEN + 1)) / SEQ_LEN  # 3.206
    assert [len(x) for x in (probe.max_logit, probe.entropy, probe.act_rms)] == [3, 3, 3]
    assert all(0.5 * uniform < float(entropy) <= uniform for entropy in probe.entropy)


def test_forced_logits_have_the_wanted_size_in_every_row() -> None:
    mask = torch.full((5, 5), -math.inf).triu(1)
    forced = force_rms(torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0)) + mask, 9.0)
    row = forced[0, 4]
    assert float(row.square().mean().sqrt()) == pytest.approx(3.0, rel=1e-5)
    assert bool((forced == -math.inf).eq(mask == -math.inf).all())


@pytest.mark.parametrize("wd_mode", ["independent", "coupled"])
def test_flat_adamw_agrees_with_torch(wd_mode: str) -> None:
    recipe = Recipe(1e-2, total_steps=10, warmup_steps=2, weight_decay=0.0, wd_mode=wd_mode)
    tokens = torch.randint(0, 256, (2, SEQ_LEN), generator=torch.Generator().manual_seed(1))
    ours, theirs = (Transformer(Shape(16), 0) for _ in range(2))
    flat = FlatAdamW(ours, recipe)
    adam = torch.optim.AdamW(theirs.parameters(), betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)
    for step in range(1, 6):
        flat.clear()
        ours(tokens).square().mean().backward()
        flat.clip()
        flat.step()
        adam.param_groups[0]["lr"] = recipe.lr(step)
        adam.zero_grad()
        theirs(tokens).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        adam.step()
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    # float32 in another order of operations: differences of some 1e-6 grow over five steps
    assert max(float((a - b).detach().abs().max()) for a, b in pairs) < 1e-4


def test_independent_decay_does_not_depend_on_the_learning_rate() -> None:
    sizes = []
    for lr in (1e-9, 1e-8):
        flat = FlatAdamW(Transformer(Shape(16), 0), Recipe(lr, 10, 1, weight_decay=0.1))
        flat.step()
        sizes.append(float(flat.parameter_norm()))
    start = FlatAdamW(Transformer(Shape(16), 0), Recipe(1e-9, 10, 1)).parameter_norm()
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-6)
    assert sizes[0] == pytest.approx(0.9 * float(start), rel=1e-5)


def test_simple_mup_scales_the_rate_of_matrices_alone() -> None:
    model = Transformer(Shape(64), 0)
    flat = FlatAdamW(model, Recipe(1e-2, 10, 1, parametrization="mup-simple"))
    assert flat.lr_scale is not None
    assert flat.lr_scale[: 256 * 64].unique().tolist() == [1.0]  # the embedding comes first
    assert sorted(flat.lr_scale.unique().tolist()) == [16 / 256, 16 / 64, 1.0]
