"""The dataset card: written from the packed runs, so that it cannot say anything else."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from demo.corpus import MIN_BYTES, TRAIN_SHARE, build_corpus
from demo.frozen import FORECASTS, FROZEN_AT, INPUT_DIGEST
from demo.grid import PARTS, Cell

CARD = Path(__file__).resolve().parent / "DATASET.md"
SOFTWARE = (
    "python_version",
    "torch_version",
    "numpy_version",
    "platform",
    "cpu",
    "device",
    "threads",
    "demo_code_sha256",
)
NO_D = (
    "Part D looks for output-logit divergence (bf16 logits, 4,096 classes, 5,000 steps). Time did\n"
    "not suffice for it: whether it appears there is unknown."
)
Run = dict[str, Any]

TEMPLATE = """\
# Dataset card: the demo runs

Written by `python demo/pack.py` from the packed runs; edit `demo/card.py`, not this file.

## What it is
{n_runs} training runs of small decoder-only transformers, trained by this project, logged through
its own client, read back from its own server. One line of `demo/data/runs.jsonl.gz` is one run:
id, name, group (the part of the grid), tags, studies, state, config, wall seconds and every logged
point in columns. Floats are rounded to 6 significant digits, whole numbers are exact, values that
are not finite are strings.

| fact | value |
|---|---|
| sha256 of `runs.jsonl.gz` | `{data_sha256}` |
| size | {size_bytes:,} bytes |
| runs | {n_runs} of {n_planned} planned |
| points | {n_points:,} |
| points that are not finite | {n_nonfinite} |
| states | {states} |

## Corpus
Python sources of the standard library: every `*.py` under `sysconfig.get_paths()["stdlib"]` except
`site-packages` and `dist-packages`, relative paths sorted, shuffled with `random.Random(0)`,
concatenated until at least {min_bytes:,} bytes. Tokens are bytes; the first {train_percent:.0f}%
are for training, the rest for validation. The text itself is not redistributed.

| fact | value |
|---|---|
| origin | {origin} |
| files, bytes | {corpus_size} |
| sha256 of the concatenated bytes | `{corpus_sha256}` |
| validation loss of count models | {baselines} |

## Software and machine
| fact | value |
|---|---|
{software}

## Commands
```
python3 -m venv venv && venv/bin/pip install -r demo/requirements.txt
venv/bin/python demo/train.py --part A1 --shard 0/2      # and --shard 1/2 beside it, and so on
venv/bin/python demo/run_grid.py --parts A1 B C A2 A3 --processes 16   # many cores, offline
scaledash sync demo/.cache/runs/spool/*
venv/bin/python demo/pack.py --url URL --token TOKEN --done demo/.cache/runs/done.txt
venv/bin/python demo/reproduce.py A1-d16-lr0.01-qk-on-s0     # trains one run again, compares
```

## Parts
Wall seconds are summed over runs, one thread each, on two cores that did other work beside.

| part | what | runs | seeds | widths | wall seconds |
|---|---|---|---|---|---|
{parts}

## Forecasts for 1e13 FLOPs
Frozen at {frozen_at} by a running server from the 49 runs of part B, which reach 3e12 FLOPs (digest
of its input `{frozen_digest}`), before the first run of part B2 began. They are written here as
the server printed them; measured losses are those of the packed runs.

| forecast | value | 95 % interval | measured | error |
|---|---|---|---|---|
{forecasts}

N* is measured by the product, as the isoFLOP minimum of the budget, once enough of its sizes exist.

## Known gaps and failed runs
{gaps}

Nothing was dropped: a run that ended high, or with values that are not finite, is kept as it is.
No NaN or loss spike is claimed; what was looked for and not found stands in the descriptions of
the studies.

## Determinism
Same torch build and same kind of processor: same digits, whatever the number of processes.
Elsewhere expect differences within the spread of seeds. Ids of runs are fixed by the grid.

## Licence
The corpus is under the PSF License Agreement and is not part of this repository. The logs are the
project's own data, under the project's licence.
"""


def write_card(runs: list[Run], planned: list[Cell], data: Path, path: Path = CARD) -> None:
    """Fill in the template from what was packed."""
    values = [v for run in runs for s in run["metrics"].values() for v in s["values"]]
    sha256 = collect(runs, "corpus_sha256")
    facts = {
        "n_runs": len(runs),
        "n_planned": len(planned),
        "n_points": len(values),
        "n_nonfinite": sum(isinstance(value, str) for value in values),
        "states": ", ".join(sorted({run["state"] for run in runs})),
        "data_sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
        "size_bytes": data.stat().st_size,
        "min_bytes": MIN_BYTES,
        "train_percent": 100 * TRAIN_SHARE,
        "corpus_sha256": sha256,
        **describe_corpus(sha256),
        "baselines": describe_baselines(runs),
        "software": "\n".join(f"| {name} | {collect(runs, name)} |" for name in SOFTWARE),
        "parts": describe_parts(runs),
        "frozen_at": FROZEN_AT,
        "frozen_digest": INPUT_DIGEST,
        "forecasts": describe_forecasts(runs),
        "gaps": describe_gaps(runs, planned),
    }
    path.write_text(TEMPLATE.format(**facts))


def collect(runs: list[Run], key: str) -> str:
    """The values of a config key over all runs; one, if all is well."""
    return ", ".join(sorted({str(run["config"].get(key)) for run in runs}))


def describe_corpus(sha256: str) -> dict[str, str]:
    """Origin and size, known when the Python at hand holds the same text."""
    corpus = build_corpus()
    if corpus.sha256 != sha256:
        unknown = "another Python than the one that wrote this card"
        return {"origin": unknown, "corpus_size": "not read here"}
    return {
        "origin": f"{corpus.origin}, standard library",
        "corpus_size": f"{corpus.n_files:,} files, {len(corpus.text):,} bytes",
    }


def describe_baselines(runs: list[Run]) -> str:
    config = next(run["config"] for run in runs if "baseline_bigram" in run["config"])
    names = ("uniform", "unigram", "bigram")
    return ", ".join(f"{name} {config[f'baseline_{name}']:.3f}" for name in names)


def describe_parts(runs: list[Run]) -> str:
    """One row for every part: what it is, how much of it there is, what it took."""
    by_part: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_part[run["group"]].append(run)
    rows = []
    for part, members in by_part.items():
        what = (PARTS[part].__doc__ or "").partition(":")[2].strip().rstrip(".")
        seeds = sorted({run["config"]["seed"] for run in members})
        widths = sorted({run["config"]["width"] for run in members})
        seconds = sum(run["wall_seconds"] for run in members)
        cells = (part, what, len(members), join(seeds), join(widths), f"{seconds:,.0f}")
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def describe_forecasts(runs: list[Run]) -> str:
    """One row for every frozen forecast, with the loss of the run that scores it."""
    scoring = {run["config"]["width"]: run for run in runs if run["group"] == "B2"}
    rows = []
    for item in FORECASTS:
        has_interval = item.low is not None and item.high is not None
        interval = f"{item.low:,.6g} to {item.high:,.6g}" if has_interval else "none"
        measured, error = "-", "-"
        if item.width in scoring:
            loss = scoring[item.width]["metrics"]["loss.val"]["values"][-1]
            measured, error = f"{loss:.4f}", f"{100 * (item.value / loss - 1):+.1f} %"
        cells = (item.label, f"{item.value:,}", interval, measured, error)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def join(values: list[int]) -> str:
    return ", ".join(map(str, values))


def describe_missing(part: str, cells: list[Cell], packed: set[str]) -> str:
    """The cells of a part that were not trained; a whole part by its name."""
    absent = [cell.name for cell in cells if cell.uid not in packed]
    return f"all of part {part}" if len(absent) == len(cells) else ", ".join(absent)


def describe_gaps(runs: list[Run], planned: list[Cell]) -> str:
    packed = {run["id"] for run in runs}
    by_part: dict[str, list[Cell]] = defaultdict(list)
    for cell in planned:
        by_part[cell.part].append(cell)
    missing = [describe_missing(part, cells, packed) for part, cells in by_part.items()]
    failed = [f"{run['name']} ({run['state']})" for run in runs if run["state"] != "finished"]
    return "\n".join(
        (
            f"Planned and not trained: {', '.join(filter(None, missing)) or 'none'}.",
            f"Not finished: {', '.join(failed) or 'none'}.",
            *([NO_D] if describe_missing("D", by_part["D"], packed).startswith("all") else []),
        )
    )
