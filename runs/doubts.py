"""What in the scale facts of a run does not fit together. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from runs.facts import CONVENTIONS, Facts, take


def lint(facts: Facts, last_step: int | None, peak_logged_lr: float | None) -> list[str]:
    """Say what in the facts does not fit together, one sentence each."""
    checks = (_lint_params, _lint_sources, _lint_tokens, _lint_flops, _lint_batch)
    found = [sentence for check in checks for sentence in check(facts, last_step)]
    return found + _lint_lr(facts, peak_logged_lr)


def _lint_params(facts: Facts, last_step: int | None) -> Iterator[str]:
    total = take(facts, "n_params")
    for fact in CONVENTIONS.values():
        value = take(facts, fact)
        if value is not None and not 1e3 <= value <= 1e14:
            yield f"{fact} is {value:g}; models have between 1e3 and 1e14 parameters."
        if value is not None and total is not None and value > total:
            yield f"{fact} ({value:g}) is more than n_params ({total:g})."


def _lint_sources(facts: Facts, last_step: int | None) -> Iterator[str]:
    for fact, entries in facts.items():
        numbers = [
            (value, entry["source"])
            for entry in entries
            if isinstance(value := entry["value"], int | float)
        ]
        if fact == "flops" or len(numbers) < 2:
            continue
        (first, source), (second, other_source) = numbers[:2]
        if abs(first - second) > 0.02 * abs(first):
            yield (
                f"{fact} is {first:g} ({source}) and {second:g} ({other_source}); the first counts."
            )


def _lint_tokens(facts: Facts, last_step: int | None) -> Iterator[str]:
    tokens, per_step = take(facts, "n_tokens"), take(facts, "tokens_per_step")
    if tokens is None or per_step is None or not last_step:
        return
    expected = per_step * last_step
    if abs(tokens - expected) > 0.01 * expected:
        yield f"n_tokens is {tokens:g}, but {last_step} steps make {expected:g}."


def _lint_flops(facts: Facts, last_step: int | None) -> Iterator[str]:
    flops, tokens = take(facts, "flops"), take(facts, "n_tokens")
    n_params = take(facts, "n_params_non_embedding") or take(facts, "n_params")
    if not flops or not tokens or not n_params:
        return
    ratio = flops / (6 * n_params * tokens)
    if 1 / 3 <= ratio <= 3:
        return
    unit = next((u for u in (1e3, 1e6, 1e9, 1e12, 1e15) if _is_near(ratio, u)), None)
    hint = f"; is it in units of {unit:g}?" if unit else "."
    yield f"flops is {flops:g}, {ratio:.3g} times 6 N D{hint}"


def _is_near(ratio: float, unit: float) -> bool:
    return any(abs(ratio - near) <= 0.01 * near for near in (unit, 1 / unit))


def _lint_batch(facts: Facts, last_step: int | None) -> Iterator[str]:
    batch, seq_len = take(facts, "batch_tokens"), take(facts, "seq_len")
    if batch and seq_len and batch % seq_len:
        yield f"batch_tokens ({batch:g}) is no multiple of seq_len ({seq_len:g})."


def _lint_lr(facts: Facts, peak_logged: float | None) -> list[str]:
    lr = take(facts, "peak_lr")
    if lr is None:
        return []
    if not 0 < lr <= 1:
        return [f"peak_lr is {lr:g}; it lies above 0 and at most at 1."]
    if peak_logged is not None and abs(lr - peak_logged) > 0.01 * lr:
        return [f"peak_lr is {lr:g}, but the highest logged rate is {peak_logged:g}."]
    return []
