"""Metric names of frameworks are recognised; what is not known is not guessed."""

from __future__ import annotations

import pytest

from scaledash.lib.names import (
    ALIASES,
    LOSS_TRAIN,
    LOSS_VAL,
    MAX_ATTENTION_LOGIT,
    canonical_metric,
)


@pytest.mark.parametrize("canonical", sorted(ALIASES))
def test_every_alias_leads_to_its_canonical_name(canonical: str) -> None:
    assert {canonical_metric(alias) for alias in (canonical, *ALIASES[canonical])} == {canonical}


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Train Loss", LOSS_TRAIN),
        ("VAL_LOSS", LOSS_VAL),
        ("val-loss", LOSS_VAL),
        ("eval/c4/CrossEntropyLoss", LOSS_VAL),
        ("attn.max_logit.L11", MAX_ATTENTION_LOGIT),
    ],
)
def test_case_and_separators_do_not_matter(name: str, canonical: str) -> None:
    assert canonical_metric(name) == canonical


@pytest.mark.parametrize("name", ["", "accuracy", "loss_scale", "my loss weight", "val_bpb"])
def test_what_is_not_known_is_none(name: str) -> None:
    assert canonical_metric(name) is None


def test_no_alias_stands_twice() -> None:
    aliases = [alias for names in ALIASES.values() for alias in names]
    assert len(aliases) == len(set(aliases))
