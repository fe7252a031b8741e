"""Metric names to the keys of diagnostics, and configs to what they need."""

from __future__ import annotations

import pytest

from fitting.diagnoses.config import describe_run
from fitting.diagnoses.keys import find_key, map_metrics, recognise
from fitting.diagnoses.rules import Rules
from runs.models import Run


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("attn.max_logit.L3", "attn.max_logit.L3"),
        ("attn/max_logit/layer_12", "attn.max_logit.L12"),
        ("attn.entropy.L0", "attn.entropy.L0"),
        ("attn/entropy/0", "attn.entropy.L0"),
        ("max_attention_logit", "attn.max_logit"),
        ("layers.4.attention.qk_max_logit", "attn.max_logit.L4"),
        ("train/loss", "loss.train"),
        ("grad_norm", "optim.grad_norm"),
        ("grad.rms.block0.mlp_in", "grad.rms.block0.mlp_in"),
        ("logits/logz_mean", "logits.logz_mean"),
        ("throughput", None),
        ("val/bpb", "loss.val"),
        ("lm loss validation ppl", "loss.val"),
        ("grad/blocks.0.mlp.norm", "grad.rms.blocks.0.mlp"),
        ("l2_norm/grad/layers.3", "grad.rms.layers.3"),
        ("l2_norm/grad/global", "optim.grad_norm"),
        ("weight_gradient_rms/mlp", "grad.rms.mlp"),
        ("grads/layer_0/rms", "grad.rms.layer_0"),
        ("updates/all/rms", "update.rms.all"),
        ("loss-scale", "optim.loss_scale"),
        ("lm loss vs samples", ""),
        ("weight_update_rms/mlp", ""),
        ("train/lrm", ""),
    ],
)
def test_name_is_read_as_a_key(name: str, key: str | None) -> None:
    found = find_key(name)
    assert (found.name if found else None) == key


def test_own_name_of_a_key_wins_and_a_likeness_is_a_guess() -> None:
    mapping = map_metrics(["loss", "loss.train", "layers.4.attention.qk_max_logit"])
    assert mapping.metrics["loss.train"] == "loss.train"
    assert mapping.guessed == {"attn.max_logit.L4"}


def test_ambiguous_name_follows_the_framework_that_others_give_away() -> None:
    assert recognise(["loss"], {})["loss"].name == "loss.train"
    assert recognise(["loss", "cross_ent_loss"], {})["loss"].name == "loss.total"


def test_loss_goes_before_its_perplexity() -> None:
    mapping = map_metrics(["train_perplexity", "train_loss"])
    assert (mapping.metrics["loss.train"], mapping.units) == ("train_loss", {})


def test_config_is_read_by_the_names_that_frameworks_use() -> None:
    run = Run(
        config={"optim": {"max_grad_norm": 1.0, "eps": 1e-8}, "precision": "bf16"}, total_steps=9
    )
    config, _ = describe_run(run, Rules())
    assert config.number("clip") == 1.0
    assert config.number("adam_eps") == 1e-8
    assert config.text("dtype") == "bf16"
    assert config.number("total_steps") == 9
    assert config.number("seq_len") is None
