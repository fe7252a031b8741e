"""Read the demo runs back from a server and pack them into one small file, with its card.

`python demo/pack.py --url URL --token TOKEN --done demo/.cache/runs/done.txt` writes
`demo/data/runs.jsonl.gz` and `demo/DATASET.md`. Floats keep 6 significant digits.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.card import write_card
from demo.connection import Connection, Document
from demo.grid import PARTS, Cell, list_cells, list_studies
from demo.load import CONNECTIONS, DATA, Run
from demo.progress import Progress
from demo.studies import STUDIES

MAX_BYTES = 5_000_000
DIGITS = 6
PAGE = 100
SHOWN_STUDIES = {study["slug"] for study in STUDIES}


def round_value(value: float | int | str | None) -> float | int | str:
    """Six significant digits; whole numbers stay exact, what is not finite becomes a string."""
    if value is None:
        return "NaN"
    if isinstance(value, str | int):
        return value
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.{DIGITS}g}")


def read_finished(path: Path) -> dict[str, float]:
    """Wall seconds of every run that was trained to its end."""
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {uid: float(seconds) for uid, seconds, _ in rows}


def list_uids(server: Connection, project: str) -> Iterator[str]:
    """Ids of every run of a project."""
    cursor = ""
    while True:
        page = server.get(f"/api/v1/runs?project={project}&limit={PAGE}{cursor}")
        yield from (item["id"] for item in page["items"])
        if not page["next"]:
            return
        cursor = f"&cursor={page['next']}"


def read_run(server: Connection, project: str, cell: Cell, wall_seconds: float) -> Run:
    """One run with its full history, columns rounded."""
    query = f"?project={project}"
    document = server.get(f"/api/v1/runs/{cell.uid}{query}")
    return {
        "id": cell.uid,
        "name": cell.name,
        "group": cell.part,
        "tags": document["tags"],
        "studies": [slug for slug in list_studies(cell) if slug in SHOWN_STUDIES],
        "state": document["state"],
        "started_at": datetime.fromisoformat(document["started_at"]).timestamp(),
        "wall_seconds": wall_seconds,
        "config": document["config"],
        "metrics": round_columns(read_history(server, project, cell.uid)),
    }


def read_history(server: Connection, project: str, uid: str) -> Document:
    """Every visible point of a run, as columns {metric: {steps, values}}."""
    return server.get(f"/api/v1/runs/{uid}/history?project={project}")["series"]


def round_columns(metrics: Document) -> dict[str, Any]:
    return {
        key: {"steps": series["steps"], "values": [round_value(v) for v in series["values"]]}
        for key, series in sorted(metrics.items())
    }


def write_runs(runs: list[Run], path: Path) -> None:
    """One JSON line a run; the same runs give the same bytes."""
    lines = (json.dumps(run, separators=(",", ":"), allow_nan=False) + "\n" for run in runs)
    content = gzip.compress("".join(lines).encode(), compresslevel=9, mtime=0)
    if len(content) > MAX_BYTES:
        sys.exit(f"{len(content):,} bytes packed; at most {MAX_BYTES:,} may be committed.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("SCALEDASH_URL"))
    parser.add_argument("--token", default=os.environ.get("SCALEDASH_TOKEN"))
    parser.add_argument("--project", default="demo")
    parser.add_argument("--done", type=Path, required=True, help="done.txt of the training")
    parser.add_argument("--out", type=Path, default=DATA)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    server = Connection(arguments.url, arguments.token)
    seconds = read_finished(arguments.done)
    present = set(list_uids(server, arguments.project))
    planned = [cell for cell in list_cells([*PARTS]) if cell.part != "smoke"]
    cells = [cell for cell in planned if cell.uid in seconds and cell.uid in present]
    progress = Progress("read", len(cells))

    def read(cell: Cell) -> Run:
        run = read_run(server, arguments.project, cell, seconds[cell.uid])
        progress.advance(cell.name)
        return run

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        runs = list(pool.map(read, cells))
    progress.close()
    write_runs(runs, arguments.out)
    write_card(runs, planned, arguments.out)
    print(f"{len(runs)} of {len(planned)} planned runs, {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
