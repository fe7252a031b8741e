"""Fit a law to a CSV file: no database, no server."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fitting.maths.engine import fit_law
from fitting.maths.expression import read_numbers, select_rows
from fitting.maths.records import Exclusion
from fitting.maths.registry import get_law
from fitting.maths.types import Fit, HeldOut, Law, OptionError, Refusal, Rows, Settings

GROUP_COLUMNS = {"budget": "flops"}  # groups whose label is itself an input of the law


class CsvFitError(ValueError):
    """The command cannot be carried out; the message says what to change."""


@dataclass(frozen=True)
class FitRequest:
    """What the command line asks for.

    `mapping` is role -> column; `options` are the law's own, as text.
    """

    law: str
    path: Path
    mapping: Mapping[str, str]
    target: str
    group: str = ""
    cluster: str = ""
    where: str = ""
    holdout: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class FitAnswer:
    """The fit or refusal, with the rows it saw and the time it took."""

    law: Law
    result: Fit | Refusal
    rows: Rows
    n_read: int
    seconds: float
    where: str = ""
    remarks: tuple[str, ...] = ()


def read_table(path: Path) -> dict[str, list[str]]:
    """Read a CSV with a header line into column -> texts."""
    if not path.is_file():
        raise CsvFitError(f"there is no file {path}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    names = reader.fieldnames
    if not names:
        raise CsvFitError(f"{path} is empty; the first line must name the columns")
    return {name: [(row[name] or "").strip() for row in rows] for name in names}


def run_request(request: FitRequest) -> FitAnswer:
    """Read, choose rows, fit."""
    law = _find_law(request.law)
    table = read_table(request.path)
    rows = build_rows(law, table, request)
    named = {**_name_roles(law, table, request), **table}
    kept = np.ones(rows.n, dtype=np.bool_)
    if request.where:
        kept = select_rows(request.where, named)
    withheld: tuple[str, ...] = ()
    if request.holdout:
        chosen = select_rows(request.holdout, named) & kept
        withheld = tuple(np.array(rows.ids)[chosen].tolist())
        if not withheld:
            raise CsvFitError(f"no row is held out by {request.holdout!r}")
    settings = Settings(
        replicas=request.replicas,
        seed=request.seed,
        options=read_options(law, request.options),
        hold_out_ids=withheld,
    )
    used = rows.take(kept)
    start = time.perf_counter()
    result = fit_law(law, used, settings)
    seconds = time.perf_counter() - start
    remarks: tuple[str, ...] = ()
    if request.group and not law.group:
        remarks = (
            f"{law.slug} has no groups: --group {request.group} changes nothing; "
            "--cluster names the unit that is resampled",
        )
    return FitAnswer(law, result, used, rows.n, seconds, request.where, remarks)


def build_rows(law: Law, table: Mapping[str, Sequence[str]], request: FitRequest) -> Rows:
    """Turn the mapped columns into the law's rows."""
    roles = {item.role for item in law.inputs}
    single = len([item for item in law.inputs if not item.optional]) == 1
    unknown = sorted(set(request.mapping) - roles)
    if unknown and not (single and len(request.mapping) == 1):
        raise CsvFitError(
            f"{law.slug} has no role {unknown[0]!r}; it has {', '.join(sorted(roles))}"
        )
    columns = {role: read_numbers(_pick(table, name)) for role, name in request.mapping.items()}
    groups = tuple(_pick(table, request.group)) if request.group else ()
    role = GROUP_COLUMNS.get(law.group, "")
    if groups and role and role not in columns:
        columns[role] = read_numbers(groups)
    clusters = tuple(_pick(table, request.cluster)) if request.cluster else ()
    target = read_numbers(_pick(table, request.target))
    ids = tuple(f"row{place + 1:06d}" for place in range(target.size))
    return Rows(columns, target, ids, groups, clusters)


def read_options(law: Law, texts: Mapping[str, str]) -> dict[str, object]:
    """Read option values: a number, true, false, none or a text."""
    changed = {name: _read_value(text) for name, text in texts.items()}
    try:
        law.read_options(changed)
    except OptionError as error:
        raise CsvFitError(str(error)) from None
    return changed


def describe_answer(answer: FitAnswer, seed: int) -> dict[str, object]:
    """Return the answer as the documented plain data."""
    result = answer.result
    head: dict[str, object] = {"law": answer.law.slug, "seconds": answer.seconds, "seed": seed}
    if isinstance(result, Refusal):
        refusal = {"code": result.code, "sentence": result.sentence, "cure": result.cure}
        counts = {"n": answer.rows.n, "n_excluded": answer.n_read - answer.rows.n}
        return {
            **head,
            "status": "refused",
            "refusal": refusal,
            "params": {},
            "intervals": {},
            "derived": {},
            "objective": None,
            **counts,
            "exclusions": [item.to_dict() for item in list_exclusions(answer)],
            "converged": False,
            "replicas_converged": None,
            "heldout": _describe_no_held_out("refused: nothing was predicted"),
            "warnings": list(answer.remarks),
            "digest": answer.rows.digest(),
        }
    params = {name: item.value for name, item in result.params.items()}
    intervals = {name: _ends(item.interval) for name, item in result.params.items()}
    derived = {
        name: {"value": item.value, "interval": _ends(item.interval)}
        for name, item in result.derived.items()
    }
    return {
        **head,
        "status": "fit",
        "refusal": None,
        "params": params,
        "intervals": intervals,
        "derived": derived,
        "objective": _number(result.objective),
        "n": result.n,
        "n_excluded": answer.n_read - result.n,
        "exclusions": [item.to_dict() for item in list_exclusions(answer)],
        "converged": result.is_converged,
        "replicas_converged": _number(result.convergence.replicas_converged),
        "heldout": _describe_held_out(result.held_out),
        "loss_noise": _number(result.loss_noise),
        "warnings": [*answer.remarks, *result.warnings],
        "table": [dict(row) for row in result.table],
        "digest": result.digest,
    }


def list_exclusions(answer: FitAnswer) -> tuple[Exclusion, ...]:
    """Return why rows were left out: by `--where`, then by the law's own rules."""
    found = answer.result.exclusions if isinstance(answer.result, Fit) else ()
    count = answer.n_read - answer.rows.n
    if not count:
        return tuple(found)
    return (Exclusion("where", f"not chosen by --where {answer.where!r}", count), *found)


def _describe_no_held_out(reason: str) -> dict[str, object]:
    empty = {"mean_rel_error": None, "median_rel_error": None, "max_rel_error": None}
    head = {"n": 0, "rule": None, "reason": reason, "quantity": None}
    return {**head, **empty, "params": {}, "rows": []}


def _describe_held_out(held_out: HeldOut | Refusal) -> dict[str, object]:
    if isinstance(held_out, Refusal):
        return _describe_no_held_out(held_out.sentence)
    error = np.abs(held_out.relative_error)
    rows = [
        {"id": name, "measured": float(m), "predicted": float(p), "rel_error": float(e)}
        for name, m, p, e in zip(
            held_out.ids,
            held_out.measured,
            held_out.predicted,
            held_out.relative_error,
            strict=True,
        )
    ]
    return {
        "n": len(rows),
        "rule": held_out.rule,
        "quantity": held_out.quantity,
        "mean_rel_error": float(error.mean()),
        "median_rel_error": held_out.median_error,
        "max_rel_error": held_out.max_error,
        "params": dict(held_out.params),
        "rows": rows,
    }


def _name_roles(
    law: Law, table: Mapping[str, Sequence[str]], request: FitRequest
) -> dict[str, Sequence[str]]:
    """Let an expression name a column by its role or by the law's symbol; C is 6 N D."""
    symbols = {item.role: item.symbol for item in law.inputs}
    named: dict[str, Sequence[str]] = {}
    for role, column in request.mapping.items():
        named[role] = table[column]
        if symbols.get(role):
            named[symbols[role]] = table[column]
    if "C" not in named and {"n_params", "n_tokens"} <= set(request.mapping):
        n, d = (read_numbers(named[role]) for role in ("n_params", "n_tokens"))
        named["C"] = [repr(float(value)) for value in 6.0 * n * d]
    return named


def _find_law(slug: str) -> Law:
    try:
        return get_law(slug)
    except KeyError as error:
        raise CsvFitError(str(error.args[0])) from None


def _pick(table: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    if name not in table:
        raise CsvFitError(f"the file has no column {name!r}; it has {', '.join(table)}")
    return table[name]


def _read_value(text: str) -> object:
    words: dict[str, object] = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _number(value: float) -> float | None:
    """Return None for what a law does not have, such as the objective of a procedure."""
    return None if np.isnan(value) else float(value)


def _ends(interval: object) -> list[float] | None:
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    return None if low is None or high is None else [float(low), float(high)]
