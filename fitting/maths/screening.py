"""What every law does with its rows before a fit: cleaning and the common refusals."""

from __future__ import annotations

import numpy as np

from fitting.maths.types import BoolArray, Exclusion, Law, Refusal, Rows

SAME = 1e-12
LEAST_SPREAD = 1.1  # factor by which one input must leave a power of the other


def screen_rows(law: Law, rows: Rows) -> tuple[Rows, tuple[Exclusion, ...]] | Refusal:
    """Drop unusable rows, order the rest by id, and refuse when a column is missing.

    Parameters
    ----------
    law : from the registry
    rows : observations

    Returns
    -------
    the usable rows with the exclusions, each with its rule and count
    """
    required = [item for item in law.inputs if not item.optional]
    missing = [item.role for item in required if item.role not in rows.columns]
    if missing:
        return Refusal(
            "missing_input",
            f"{law.title} needs {', '.join(missing)}; the data have "
            f"{', '.join(sorted(rows.columns)) or 'no input'}",
            "map a column to each missing role",
        )
    names, keep, exclusions = np.array(rows.names()), np.ones(rows.n, dtype=np.bool_), []
    for rule, sentence, bad in _list_rules(law, rows):
        where = bad & keep
        if where.any():
            ids = tuple(sorted(str(name) for name in names[where]))
            exclusions.append(Exclusion(rule, sentence, len(ids), ids))
        keep &= ~bad
    places = np.flatnonzero(keep)
    order = places[np.argsort(names[places], kind="stable")]
    return rows.take(order), tuple(exclusions)


def _list_rules(law: Law, rows: Rows) -> list[tuple[str, str, BoolArray]]:
    rules = []
    if not law.keeps_non_finite:
        bad = ~np.isfinite(rows.target)
        rules.append(("non_finite", f"{law.target.role} is not finite", bad))
    if law.target.positive:
        rules.append(("not_positive", f"{law.target.role} is not above zero", rows.target <= 0))
    for item in law.inputs:
        if item.role not in rows.columns:
            continue
        values = rows.columns[item.role]
        rules.append((f"no_{item.role}", f"{item.role} is not finite", ~np.isfinite(values)))
        if item.positive:
            sentence = f"{item.role} is not above zero"
            rules.append((f"not_positive_{item.role}", sentence, values <= 0))
    return rules


def refuse_together(law: Law, rows: Rows) -> Refusal | None:
    """Refuse two inputs of the same part that grow together: their terms could change places.

    Parameters
    ----------
    law : from the registry; its `apart` names the pairs
    rows : usable rows, at least two

    Returns
    -------
    a Refusal that names the pair and the power, or None
    """
    for first, second in law.apart:
        if first not in rows.columns or second not in rows.columns:
            continue
        x, y = np.log(rows.columns[first]), np.log(rows.columns[second])
        slope = float(np.sum((x - x.mean()) * y) / np.sum((x - x.mean()) ** 2))
        spread = float(np.exp(np.ptp(y - slope * x)))
        if slope > 0.0 and spread < LEAST_SPREAD:
            return Refusal(
                "rank",
                f"{first} and {second} grow together in all {rows.n} rows ({second} ~ "
                f"{first}^{slope:.3g} within a factor {spread:.3g}): their terms cannot be told "
                "apart",
                f"train one {first} at another {second}",
            )
    return None


def refuse_rows(law: Law, rows: Rows, n_params: int) -> Refusal | None:
    """Return the first common refusal that the rows meet.

    Parameters
    ----------
    law : from the registry
    rows : usable rows
    n_params : least number of rows

    Returns
    -------
    a Refusal for few rows, an input that spans too little, inputs that grow together or equal
    targets; None where the rows pass
    """
    if rows.n < max(n_params, 2):
        return Refusal(
            "too_few_points",
            f"{law.title} has {n_params} parameters; this selection has "
            f"{rows.n} usable {'row' if rows.n == 1 else 'rows'}",
            f"at least {n_params + 2} rows give an interval",
        )
    for item in law.inputs:
        if item.octaves <= 0 or item.role not in rows.columns:
            continue
        values = rows.columns[item.role]
        octaves = float(np.log2(values.max() / values.min()))
        if octaves < item.octaves * (1 - 1e-9):
            return Refusal(
                "span",
                f"{item.role} spans a factor {2**octaves:.3g} in {rows.n} rows; its exponent "
                f"needs at least a factor {2**item.octaves:.3g}",
                f"add runs with {item.role} further apart",
            )
    together = refuse_together(law, rows)
    if together is not None:
        return together
    if law.flat_target_means:
        return None
    finite = rows.target[np.isfinite(rows.target)]
    if np.ptp(finite) <= SAME * np.max(np.abs(finite)) if finite.size else True:
        return Refusal(
            "rank",
            f"all {rows.n} values of {law.target.role} are equal: nothing to fit",
            "check the mapping of the target",
        )
    return None
