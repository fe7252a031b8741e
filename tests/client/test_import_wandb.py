"""W&B's offline files and its API."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from scaledash.client import cli
from scaledash.client.errors import UsageError
from scaledash.client.importers.model import Tally
from scaledash.client.importers.wandb_api import WandbApi
from scaledash.client.importers.wandb_file import WandbFiles
from tests.client.sources import (
    DATA,
    data,
    history,
    list_runs,
    number,
    only,
    series_of,
    write_wandb,
)

NAME = "run-abc.wandb"
STEPS = (0, 1, 2500)
RUN = data(17, data(1, "abc") + data(3, "p") + data(8, "name"))
EXIT = data(18, number(1, 0))


def read(path: Path) -> WandbFiles:
    return WandbFiles(path, Tally())


def test_a_real_file_is_read_completely() -> None:
    source = read(DATA / "wandb")
    run = only(source)
    found = series_of(run, source)
    assert found["train/loss"] == [(step, 3 / (step + 1)) for step in range(6)]
    assert found["eval/loss"] == [(0, 2.0), (30, 0.5)]  # by the axis that the run has defined
    assert found["nested.a"] == [(6, 1.0)]
    assert math.isnan(found["odd"][0][1])
    assert run.config == {"lr": 3e-4, "model": {"n_params": "125M"}}
    assert (run.name, run.group, run.notes, run.tags) == ("offline", "g", "why", ["a"])
    assert (run.key, run.state) == ("p/real0001", "finished")


def test_a_row_may_mix_metrics_of_different_axes(tmp_path: Path) -> None:
    metric = data(12, data(2, "eval/*") + data(4, "global_step"))
    rows = [
        history(7, **{"loss": "3.0", "eval/loss": "2.5", "global_step": "700"}),
        history(8, **{"loss": "2.0", "eval/loss": "2.25"}),
    ]
    source = read(write_wandb(tmp_path / NAME, [RUN, metric, *rows, EXIT]))
    found = series_of(only(source), source)
    assert found["loss"] == [(7, 3.0), (8, 2.0)]
    assert found["eval/loss"] == [(700, 2.5), (700, 2.25)]


def test_an_axis_that_is_no_whole_number_leaves_the_step(tmp_path: Path) -> None:
    metric = data(12, data(1, "loss") + data(4, "epoch"))
    row = history(7, loss="3.0", epoch="0.5")
    source = read(write_wandb(tmp_path / NAME, [RUN, metric, row]))
    assert series_of(only(source), source)["loss"] == [(7, 3.0)]


def test_nested_keys_are_joined_by_dots(tmp_path: Path) -> None:
    item = data(1, data(2, "train") + data(2, "loss") + data(16, "1.5"))
    row = data(2, item + data(2, number(1, 3)))
    inner = history(4, eval='{"loss": 2.5, "deep": {"x": 1}}')
    source = read(write_wandb(tmp_path / NAME, [RUN, row, inner]))
    expected = {"train.loss": [(3, 1.5)], "eval.loss": [(4, 2.5)], "eval.deep.x": [(4, 1.0)]}
    assert series_of(only(source), source) == expected


def test_values_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    row = history(0, text='"x"', image='{"_type": "image"}', loss='"NaN"', flag="true")
    source = read(write_wandb(tmp_path / NAME, [RUN, row]))
    assert sorted(series_of(only(source), source)) == ["flag", "loss"]
    assert source._tally.counts == {"values that are no numbers, left out": 2}


def test_parts_of_a_histogram_are_no_metrics(tmp_path: Path) -> None:
    parts = {"hist._type": '"histogram"', "hist.bins": "[1, 2]", "hist.packedBins.count": "2"}
    source = read(write_wandb(tmp_path / NAME, [RUN, history(0, loss="1", **parts)]))
    assert list(series_of(only(source), source)) == ["loss"]
    assert source._tally.counts == {"values that are no numbers, left out": 1}


def test_records_longer_than_a_block_are_joined(tmp_path: Path) -> None:
    long = history(0, loss="1.5", text=json.dumps("x" * 100_000))
    rows = [history(step, loss=str(step)) for step in range(1, 3000)]
    source = read(write_wandb(tmp_path / NAME, [RUN, long, *rows]))
    assert len(series_of(only(source), source)["loss"]) == 3000


def test_a_damaged_block_is_skipped_and_counted(tmp_path: Path) -> None:
    rows = [history(step, loss=str(step)) for step in range(6000)]
    path = write_wandb(tmp_path / NAME, [RUN, *rows, EXIT])
    raw = bytearray(path.read_bytes())
    raw[40_000] ^= 0xFF
    path.write_bytes(raw)
    source = read(path)
    run = only(source)
    steps = [step for step, _ in series_of(run, source)["loss"]]
    assert 4000 < len(steps) < 6000
    assert (steps[0], steps[-1]) == (0, 5999)
    assert list(source._tally.counts) == [f"{NAME}: damaged blocks, skipped"]


def test_a_half_written_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    rows = [history(step, loss=str(step)) for step in range(10)]
    path = write_wandb(tmp_path / NAME, [RUN, *rows])
    path.write_bytes(path.read_bytes()[:-3])
    source = read(path)
    run = only(source)
    assert len(series_of(run, source)["loss"]) == 9
    assert run.state is None  # it may still be written
    assert not source._tally.counts


def test_a_run_without_an_end_has_crashed_once_nobody_writes(tmp_path: Path) -> None:
    import os

    path = write_wandb(tmp_path / NAME, [RUN, history(0, loss="1")])
    os.utime(path, (1.7e9, 1.7e9))
    assert only(read(path)).state == "crashed"
    write_wandb(path, [RUN, data(18, number(1, 3))])
    assert only(read(path)).state == "failed"


def test_another_file_is_refused_by_name_and_the_rest_follows(tmp_path: Path) -> None:
    (tmp_path / "a.wandb").write_bytes(b"something else")
    write_wandb(tmp_path / "b.wandb", [RUN, history(0, loss="1"), EXIT])
    found = list(read(tmp_path).list_runs())
    assert "does not begin as a file of W&B" in str(found[0])
    assert found[1].name == "name"


FAKE = '''
"""What of W&B's client the importer uses, over rows in a file beside it."""
import json, os, pathlib

DATA = json.loads((pathlib.Path(__file__).parent / "wandb.json").read_text())
LOG = []

class Limited(Exception):
    pass

class Run:
    project, entity, notes, url, group, job_type = "p", "e", "", "https://w/e/p/abc", "", ""
    state, created_at, heartbeatAt = "finished", "2026-01-02T03:04:05Z", None
    metadata = {"host": "node1", "git": {"commit": "abc"}}
    tags = ["t"]

    def __init__(self):
        self.id = self.name = "abc"
        self.config = {"lr": 0.1, "_wandb": {}}
        self.rawconfig = DATA["rawconfig"]
        self.lastHistoryStep = DATA["rows"][-1]["_step"]

    def scan_history(self, keys=None, page_size=None, min_step=0, max_step=None):
        assert keys is None
        LOG.append((min_step, max_step))
        if len(LOG) == 1:
            raise Limited("HTTP 429: too many requests")
        return iter(r for r in DATA["rows"] if min_step <= r["_step"] < max_step)

class Api:
    def __init__(self, timeout=None):
        if os.environ.get("WANDB_API_KEY") == "":
            raise RuntimeError("No API key configured. Use `wandb login` to log in.")

    def runs(self, path, order=None):
        if path != "e/p":  # only when it is read, as the real one
            return (self.run(path) for _ in range(1))
        return [Run()]

    def run(self, path):
        raise ValueError(f"could not find {path}")
'''


@pytest.fixture
def wandb_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put W&B's network where its package would be."""
    rows = [{"_step": step, "_timestamp": 1.7e9 + step, "loss": float(step)} for step in STEPS]
    rows[1] |= {"eval": 0.5, "gs": 40}
    rawconfig = {"_wandb": {"value": {"m": [{"1": "gs"}, {"1": "eval", "5": 1}]}}}
    (tmp_path / "wandb.json").write_text(json.dumps({"rows": rows, "rawconfig": rawconfig}))
    (tmp_path / "wandb.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)


def test_the_api_is_scanned_completely_with_axes_and_limits(wandb_server: None) -> None:
    waits: list[float] = []
    source = WandbApi("e/p", Tally(), waits.append)
    run = only(source)
    found = series_of(run, source)
    assert found["loss"] == [(0, 0.0), (1, 1.0), (2500, 2500.0)]
    assert found["eval"] == [(40, 0.5)]
    assert waits == [5.0]
    assert (run.config, run.host["git_commit"], run.link) == (
        *({"lr": 0.1}, "abc", "https://w/e/p/abc"),
    )
    assert run.started_at == 1767323045.0


def test_without_its_package_the_api_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match="pip install wandb"):
        WandbApi("e/p", Tally())


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("e/absent", "W&B: could not find e/absent"),
        ("e/p/absent", "W&B: could not find e/p/absent"),
    ],
)
def test_what_w_and_b_does_not_give_is_said_in_its_words(
    wandb_server: None, capsys: pytest.CaptureFixture[str], place: str, said: str
) -> None:
    assert cli.main(["import", "wandb", place, "--project", "p", "--dry-run"]) == 1
    assert said in capsys.readouterr().err


def test_a_missing_key_of_w_and_b_is_a_mistake_of_usage(
    wandb_server: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "")
    assert cli.main(["import", "wandb", "e/p", "--project", "p", "--dry-run"]) == 2
    assert "W&B's client: No API key configured" in capsys.readouterr().err


def test_file_and_api_are_the_same_run(wandb_server: None, tmp_path: Path) -> None:
    path = write_wandb(tmp_path / NAME, [RUN, EXIT])
    assert only(read(path)).key == only(WandbApi("e/p", Tally())).key
    assert len(list_runs(read(path))) == 1
