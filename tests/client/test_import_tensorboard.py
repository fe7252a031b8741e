"""TensorBoard's folders: files, restarts, series in folders of their own."""

from __future__ import annotations

import math
import struct
from pathlib import Path

from scaledash.client.importers.crc32c import compute_crc32c
from scaledash.client.importers.model import Tally
from scaledash.client.importers.tensorboard import TensorBoard
from tests.client.sources import (
    DATA,
    data,
    event,
    list_runs,
    number,
    only,
    record,
    rewinds_of,
    scalar,
    series_of,
    write_events,
)

FIRST = "events.out.tfevents.1700000000.host.1.0"
SECOND = "events.out.tfevents.1700009999.host.2.0"


def read(root: Path) -> TensorBoard:
    return TensorBoard(root, Tally())


def losses(*pairs: tuple[int, float], at: float = 1.7e9) -> list[bytes]:
    return [event(step, scalar("loss", value), at=at) for step, value in pairs]


def test_the_checksum_is_castagnoli_s() -> None:
    assert compute_crc32c(b"123456789") == 0xE3069283  # the check value of its definition


def test_real_files_are_read_completely() -> None:
    source = read(DATA / "tensorboard")
    run = only(source)
    found = series_of(run, source)
    restarted = [(4, 9.0), (5, 9.0), (6, 9.0), (7, 9.0)]
    first = [(step, struct.unpack("<f", struct.pack("<f", 3 / (step + 1)))[0]) for step in range(6)]
    assert found["train/loss"] == first + restarted
    assert found["double"] == [(2, 1 / 3)]
    assert found["cmp/a"] == [(3, 1.0)]
    assert found["cmp/b"] == [(3, 2.0)]
    assert math.isnan(found["odd"][0][1])
    assert found["hparam/acc"] == [(0, 0.5)]
    assert run.config == {"lr": 0.25, "opt": "adamw", "bias": True}
    assert rewinds_of(run, source) == [4]
    assert (run.name, run.state) == ("run", "finished")


def test_a_torn_tail_ends_a_file_quietly(tmp_path: Path) -> None:
    path = write_events(tmp_path / FIRST, losses((0, 3.0), (1, 2.0)))
    whole = path.read_bytes()
    for cut in range(1, len(record(losses((1, 2.0))[0]))):
        path.write_bytes(whole[:-cut])
        source = read(tmp_path)
        assert series_of(only(source), source) == {"loss": [(0, 3.0)]}
        assert not source._tally.counts


def test_damage_ends_a_file_and_is_counted(tmp_path: Path) -> None:
    path = write_events(tmp_path / FIRST, losses((0, 3.0), (1, 2.0), (2, 1.0)))
    raw = bytearray(path.read_bytes())
    raw[len(record(losses((0, 3.0))[0])) + 20] ^= 0xFF
    path.write_bytes(raw)
    source = read(tmp_path)
    assert series_of(only(source), source) == {"loss": [(0, 3.0)]}
    assert list(source._tally.counts.values()) == [1]


def test_a_file_that_goes_back_is_a_new_attempt(tmp_path: Path) -> None:
    write_events(tmp_path / FIRST, losses((0, 3.0), (10, 2.0)))
    write_events(tmp_path / SECOND, losses((5, 2.5), (15, 1.5), at=1.7e9 + 9))
    source = read(tmp_path)
    run = only(source)
    assert rewinds_of(run, source) == [5]
    assert [part.name for part in run.parts] == [FIRST, SECOND]


def test_a_file_that_goes_on_is_none(tmp_path: Path) -> None:
    write_events(tmp_path / FIRST, losses((0, 3.0), (10, 2.0)))
    write_events(tmp_path / SECOND, losses((11, 2.5), at=1.7e9 + 9))
    source = read(tmp_path)
    assert rewinds_of(only(source), source) == []


def test_a_second_writer_at_the_same_time_is_none(tmp_path: Path) -> None:
    write_events(tmp_path / FIRST, losses((0, 3.0)) + losses((10, 2.0), at=1.7e9 + 50))
    write_events(tmp_path / SECOND, losses((5, 2.5), at=1.7e9 + 9))
    source = read(tmp_path)
    assert rewinds_of(only(source), source) == []


def test_a_restart_inside_a_file_is_an_attempt(tmp_path: Path) -> None:
    start = number(2, 5) + data(7, number(1, 1))
    write_events(tmp_path / FIRST, [*losses((0, 3.0), (9, 2.0)), start, *losses((5, 1.0))])
    source = read(tmp_path)
    assert rewinds_of(only(source), source) == [5]


def test_folders_of_add_scalars_are_series(tmp_path: Path) -> None:
    write_events(tmp_path / "run" / FIRST, losses((0, 3.0)))
    tag = "eval/loss"
    write_events(tmp_path / "run/eval_loss_small" / FIRST, [event(0, scalar(tag, 1.0))])
    write_events(
        tmp_path / "run/eval/loss/big" / FIRST, [event(0, scalar(tag, 2.0))]
    )  # tensorboardX
    source = read(tmp_path)
    assert series_of(only(source), source) == {
        "loss": [(0, 3.0)],
        "eval/loss/small": [(0, 1.0)],
        "eval/loss/big": [(0, 2.0)],
    }


def test_a_folder_below_that_is_no_series_is_a_run(tmp_path: Path) -> None:
    write_events(tmp_path / "run" / FIRST, losses((0, 3.0)))
    write_events(tmp_path / "run/other" / FIRST, losses((0, 1.0)))
    assert sorted(list_runs(read(tmp_path))) == ["run", "run/other"]


def test_train_and_validation_are_one_run(tmp_path: Path) -> None:
    write_events(tmp_path / "fit/train" / FIRST, losses((0, 3.0)))
    write_events(tmp_path / "fit/validation" / SECOND, losses((0, 4.0)))
    source = read(tmp_path)
    expected = {"train/loss": [(0, 3.0)], "validation/loss": [(0, 4.0)]}
    assert series_of(only(source), source) == expected
    assert rewinds_of(only(source), source) == []


def test_megatron_s_second_series_is_dropped(tmp_path: Path) -> None:
    both = event(1, scalar("lm loss", 3.0), scalar("lm loss vs samples", 3.0))
    write_events(tmp_path / FIRST, [both, event(1, scalar("only vs samples", 1.0))])
    source = read(tmp_path)
    assert sorted(series_of(only(source), source)) == ["lm loss", "only vs samples"]


def test_a_missing_step_is_0_and_nan_is_kept(tmp_path: Path) -> None:
    write_events(tmp_path / FIRST, [event(None, scalar("loss", math.nan))])
    source = read(tmp_path)
    ((step, value),) = series_of(only(source), source)["loss"]
    assert step == 0
    assert math.isnan(value)


def test_negative_steps_and_reserved_names_are_counted(tmp_path: Path) -> None:
    write_events(tmp_path / FIRST, [*losses((-1, 1.0), (0, 2.0)), event(0, scalar("_step", 1.0))])
    source = read(tmp_path)
    assert series_of(only(source), source) == {"loss": [(0, 2.0)]}
    assert "points whose step is negative or beyond 2^53 - 1, left out" in source._tally.counts
    assert "reserved" in source._tally.notes[0]


def test_the_key_survives_a_move(tmp_path: Path) -> None:
    write_events(tmp_path / "a/run" / FIRST, losses((0, 3.0)))
    before = only(read(tmp_path / "a")).key
    (tmp_path / "a").rename(tmp_path / "b")
    assert only(read(tmp_path / "b/run")).key == before
