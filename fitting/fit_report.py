"""What the fit command prints: text, the list of laws, docs/laws.md, and a page with the curve."""

from __future__ import annotations

import numpy as np

from fitting.csv_fit import FitAnswer, list_exclusions
from fitting.maths.engine import find_axis
from fitting.maths.records import Derived, Estimate
from fitting.maths.registry import list_laws
from fitting.maths.types import Fit, HeldOut, Law, Refusal

DIGITS = 5
NOTEBOOK_GUIDE = """In a notebook (numpy and scipy are enough):

```python
from fitting.maths.approaches import compare_approaches
from fitting.maths.engine import fit_law
from fitting.maths.examination import examine_fit
from fitting.maths.plan import plan_next_runs
from fitting.maths.registry import get_law
from fitting.maths.types import Rows

rows = Rows({"n_params": n, "n_tokens": d, "flops": c}, loss)
found = compare_approaches(rows)  # N*, D*, L*, tokens per parameter of every approach, with bands
found.sentences  # where the approaches disagree, and how far beyond the data
fit = fit_law(get_law("chinchilla_parametric"), rows)
plan_next_runs(fit, "n_opt", {"n_params": n_next, "n_tokens": d_next}, by_cost=True)
examine_fit(get_law("chinchilla_parametric"), rows).sentences  # what the answer depends on
```

`compare_approaches` gives a refusal by name for each approach that the rows do not support. A band
holds the noise of the runs within one approach; the ratio between the approaches is the model
uncertainty, and is in no band. `plan_next_runs` gives for each candidate the share of the interval
that it takes away, its FLOPs, and the share per FLOP. `examine_fit` refits without each run, with
other thresholds, without the highest losses and at every irreducible loss that the rows allow.
"""


def render_text(answer: FitAnswer) -> str:
    """Return the fit as lines for a terminal."""
    result = answer.result
    lines = [f"{answer.law.title}: {answer.law.formula}"]
    if isinstance(result, Refusal):
        lines += [f"refused ({result.code}): {result.sentence}"]
        return "\n".join(lines + ([f"cure: {result.cure}"] if result.cure else []))
    lines.append(f"{result.n} rows, {answer.n_read - result.n} left out, seed {result.seed}")
    lines += [f"  left out: {item.count} rows, {item.sentence}" for item in list_exclusions(answer)]
    if np.isfinite(result.objective):
        lines.append(f"objective {result.objective:.10g}  ({describe_objective(result)})")
    for name, estimate in {**result.params, **result.derived}.items():
        lines.append(f"  {name:<24}{_describe(estimate)}")
    lines.append(_describe_held_out(result))
    known = np.isfinite(result.loss_noise)
    lines.append(
        f"noise of one run {result.loss_noise:.2%}, from repeats"
        if known
        else "noise of one run unknown: nothing was repeated"
    )
    lines += [f"warning: {warning}" for warning in (*answer.remarks, *result.warnings)]
    return "\n".join(lines)


def describe_objective(fit: Fit) -> str:
    """Return the objective in full."""
    spec = fit.objective_spec
    delta = "" if spec.delta is None else f", delta {spec.delta:g}"
    return f"{spec.reduction} of {spec.loss} in {spec.space} space{delta}, weights {spec.weights}"


def describe_laws() -> str:
    """Return all laws with their roles, options and sources."""
    blocks = []
    for law in list_laws().values():
        lines = [f"{law.slug}: {law.title}", f"  {law.formula}"]
        for item in law.inputs:
            optional = ", optional" if item.optional else ""
            lines.append(f"  role {item.role} ({item.unit}{optional})")
        lines.append(f"  target {law.target.role} ({law.target.unit})")
        if law.group:
            lines.append(f"  group: {law.group}")
        lines += [f"  option {o.name} = {o.default} ({o.text})" for o in law.options]
        lines.append(f"  source: {law.source}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def list_law_documents() -> list[dict[str, object]]:
    """Return all laws as plain data: roles, target, parameters, options and sources."""
    return [
        {
            **{key: getattr(law, key) for key in ("slug", "title", "formula", "tex", "group")},
            "roles": [
                {"role": x.role, "symbol": x.symbol, "unit": x.unit, "optional": x.optional}
                for x in law.inputs
            ],
            "target": {"role": law.target.role, "unit": law.target.unit},
            "params": [{"name": x.name, "text": x.text, "unit": x.unit} for x in law.params],
            "options": [
                {"name": x.name, "default": x.default, "text": x.text, "choices": list(x.choices)}
                for x in law.options
            ],
            "source": law.source,
        }
        for law in list_laws().values()
    ]


def render_laws_page() -> str:
    """Return docs/laws.md, generated from the registry."""
    parts = [
        "# Scaling laws\n",
        "Generated from the registry by `python -m fitting.fit_report`; do not edit by hand.",
        "How a law is fitted and when it is refused: `fitting/maths/`. A law is one file in "
        "`fitting/maths/laws/`: to add one, copy the nearest file, fill its `LAW` (with `truth` "
        "and `design` the self-tests in `tests/fitting/maths/laws/test_every_law.py` pick it up), "
        "add its golden test and generate this page again.\n",
        NOTEBOOK_GUIDE,
    ]
    return "\n".join(parts) + "\n" + "\n".join(_render_law(law) for law in list_laws().values())


def render_page(answer: FitAnswer) -> str:
    """Return a self-contained page with the curve, its band, the rows and the report."""
    import plotly.graph_objects as go
    from plotly.io import to_html

    figure = go.Figure()
    result = answer.result
    curve = result.curve if isinstance(result, Fit) else None
    if curve is not None:
        x = curve.x.tolist()
        if np.isfinite(curve.low).all():
            figure.add_scatter(x=x, y=curve.low.tolist(), mode="lines", line_width=0, name="low")
            figure.add_scatter(
                x=x, y=curve.high.tolist(), mode="lines", line_width=0, fill="tonexty", name="95 %"
            )
        inside = ~curve.extrapolated
        for name, where, dash in (("fit", inside, "solid"), ("beyond", ~inside, "dash")):
            figure.add_scatter(
                x=curve.x[where].tolist(),
                y=curve.y[where].tolist(),
                mode="lines",
                line_dash=dash,
                name=name,
            )
        axis = find_axis(curve.x_role, answer.rows)
        if axis is not None:
            figure.add_scatter(
                x=axis.tolist(), y=answer.rows.target.tolist(), mode="markers", name="runs"
            )
        figure.update_xaxes(type="log", title=curve.x_role)
        figure.update_yaxes(type="log", title=curve.y_role)
    body = to_html(figure, include_plotlyjs=True, full_html=False)
    title = _escape(answer.law.title)
    text = _escape(render_text(answer))
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        f"<h1>{title}</h1>{body}<pre>{text}</pre></html>"
    )


def _render_law(law: Law) -> str:
    lines = [f"## {law.slug}", "", f"**{law.title}.** `{law.formula}`", ""]
    lines += ["| role | symbol | unit | |", "|---|---|---|---|"]
    for item in law.inputs:
        note = "optional" if item.optional else ""
        if item.octaves:
            note = f"spans at least a factor {2**item.octaves:g}"
        lines.append(f"| `{item.role}` | {item.symbol} | {item.unit} | {note} |")
    lines.append(f"| `{law.target.role}` | {law.target.symbol} | {law.target.unit} | target |")
    lines += ["", "Parameters: " + "; ".join(f"`{p.name}` {p.text}" for p in law.params) + "."]
    if law.derived:
        derived = "; ".join(f"`{item.name}` {item.text}" for item in law.derived)
        lines += ["", f"Derived: {derived}."]
    spec = law.objective
    delta = "" if spec.delta is None else f", delta {spec.delta:g}"
    lines += [
        "",
        f"Objective: {spec.reduction} of {spec.loss} in {spec.space} space{delta}, "
        f"weights {spec.weights}. {law.procedure}",
    ]
    if law.options:
        lines += [
            "",
            "Options: "
            + "; ".join(f"`{o.name}` = {o.default} ({o.text})" for o in law.options)
            + ".",
        ]
    lines += ["", *[f"- {pitfall}" for pitfall in law.pitfalls], ""]
    for known in law.published:
        values = ", ".join(f"{name} {value:.6g}" for name, value in known.values.items())
        lines.append(f"Published ({known.label}): {values}. {known.source}.")
    lines += ["", f"Source: {law.source}.", ""]
    return "\n".join(lines)


def _describe(estimate: Estimate) -> str:
    value = f"{estimate.value:.{DIGITS}g}"
    text = f" ({estimate.text})" if isinstance(estimate, Derived) and estimate.text else ""
    unit = f" {estimate.unit}" if estimate.unit else ""
    if estimate.interval is None:
        reason = f"  [{estimate.reason}]" if estimate.reason else ""
        return f"{value}{unit}{reason}{text}"
    low, high = estimate.interval.low, estimate.interval.high
    return f"{value}  [{low:.{DIGITS}g}, {high:.{DIGITS}g}]{unit}{text}"


def _describe_held_out(fit: Fit) -> str:
    held_out = fit.held_out
    if isinstance(held_out, HeldOut):
        return (
            f"held out {len(held_out.ids)} values of {held_out.quantity} ({held_out.rule}): "
            f"median error {held_out.median_error:.3%}, largest {held_out.max_error:.3%}"
        )
    return held_out.sentence


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    import sys

    sys.stdout.write(render_laws_page())
