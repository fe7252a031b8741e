"""Where a scale fact comes from, and which of several sources counts."""

from __future__ import annotations

from runs.doubts import lint
from runs.facts import apply_config, apply_declared, resolve

AT = "2026-01-01T00:00:00+00:00"


def test_framework_counts_more_than_a_config_key() -> None:
    told = {"by": "transformers", "facts": {"n_params": 120_576, "schedule": "cosine", "odd": 1}}
    facts = apply_config({}, {"n_params": 100_096, "_scaledash": {"framework": told}}, AT)
    assert [(entry["source"], entry["value"]) for entry in facts["n_params"]] == [
        ("framework", 120_576.0),
        ("config", 100_096.0),
    ]
    assert facts["n_params"][0]["detail"] == "transformers"
    assert (facts["schedule"][0]["source"], "odd" in facts) == ("framework", False)
    assert resolve(facts, None, AT).columns["n_params"] == 120_576
    assert any("n_params" in doubt or "N" in doubt for doubt in lint(facts, None, None))


def test_what_a_person_declares_counts_more_than_the_framework() -> None:
    told = {"by": "keras", "facts": {"n_params": 5}}
    facts = apply_config({}, {"_scaledash": {"framework": told}}, AT)
    facts = apply_declared(facts, {"n_params": 7.0}, AT)
    assert resolve(facts, None, AT).columns["n_params"] == 7


def test_what_the_client_keeps_for_itself_is_no_config_key() -> None:
    kept = {"metrics": {"lr": {"lr": 3}}, "framework": {"by": "x", "facts": "broken"}}
    assert apply_config({}, {"_scaledash": kept}, AT) == {}
    assert apply_config({}, {"_scaledash": "broken"}, AT) == {}
