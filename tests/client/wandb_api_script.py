"""Read `e/p` with the importer and the real wandb package; prints the run and its points."""

import json
import sys

from scaledash.client.importers.model import Point, SourceRun, Tally
from scaledash.client.importers.wandb_api import WandbApi

(run,) = WandbApi("e/p", Tally()).list_runs()
assert isinstance(run, SourceRun), run
points = [
    (point.metric, point.step, point.value, point.time)
    for part in run.parts
    for point in part.read()
    if isinstance(point, Point)
]
about = {name: getattr(run, name) for name in ("key", "name", "group", "tags", "notes", "config")}
times = {"state": run.state, "started_at": run.started_at, "ended_at": run.ended_at}
json.dump({**about, **times, "points": points}, sys.stdout)
