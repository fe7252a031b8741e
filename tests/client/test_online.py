"""Runs that are sent while they go on, through a sender process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_peer import TOKEN, Fault

import scaledash

Start = Callable[..., scaledash.Run]
ROOT = Path(__file__).resolve().parents[2]


def run_script(code: str, peer: Any, **environment: str) -> subprocess.Popen[bytes]:
    """Start a training script as a process of its own."""
    prelude = (
        "import scaledash, sys, os, time\n"
        "settings = scaledash.Settings(flush_seconds=0.05, backoff_seconds=0.02,"
        " backoff_cap_seconds=0.1, linger_seconds=5)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCALEDASH_URL": peer.url,
            "SCALEDASH_TOKEN": TOKEN,
            **environment,
        },
        stdout=subprocess.PIPE,
    )


def test_rows_arrive_while_the_run_goes_on(start: Start, peer: Any) -> None:
    run = start(name="live")
    run.log({"loss": 1.0})
    peer.wait_for(lambda: bool(peer.runs) and peer.run.points["loss"] == [(0, 1.0)])
    assert run.finish().synced == 1


def test_finish_says_that_everything_is_stored(start: Start, peer: Any) -> None:
    run = start()
    for step in range(5_000):
        run.log({"loss": float(step)}, step=step)
    result = run.finish()
    assert (result.synced, result.pending, result.dropped) == (5_000, 0, 0)
    assert result.url == f"{peer.url}/p/demo/r/{run.id}"
    assert peer.run.points["loss"] == [(step, float(step)) for step in range(5_000)]
    assert peer.run.state == "finished"


def test_run_tells_of_machine_and_command(start: Start, peer: Any) -> None:
    start().finish()
    assert peer.run.document["host"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_config_and_summary_changes_arrive(start: Start, peer: Any) -> None:
    run = start(config={"lr": 0.1})
    run.config["depth"] = 3
    run.summary["best"] = 2.5
    run.tags = ["a", "b"]
    run.finish()
    assert peer.run.document["config"] == {"lr": 0.1, "depth": 3}
    assert peer.run.document["summary"] == {"best": 2.5}
    assert peer.run.document["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503, times=3),
        Fault(500, times=3),
        Fault(429, times=2, headers={"Retry-After": "0.05"}),
        Fault("drop", times=4),
        Fault("html", times=2),
        Fault("redirect", times=2),
        Fault("hole", times=1),
    ],
    ids=lambda fault: str(fault.kind),
)
def test_trouble_on_the_way_costs_nothing(start: Start, peer: Any, fault: Fault) -> None:
    peer.faults.append(fault)
    run = start()
    for step in range(300):
        run.log({"loss": float(step)}, step=step)
    assert run.finish(timeout=120).pending == 0
    assert peer.run.points["loss"] == [(step, float(step)) for step in range(300)]


def test_half_of_all_replies_lost_still_means_exactly_once(start: Start, peer: Any) -> None:
    lost = iter(range(1_000_000))
    peer.faults.append(Fault("drop", times=10_000, when=lambda body: next(lost) % 2 == 0))
    run = start()
    for step in range(2_000):
        run.log({"loss": float(step)}, step=step)
    assert run.finish(timeout=120).pending == 0
    assert peer.run.points["loss"] == [(step, float(step)) for step in range(2_000)]


def test_wrong_token_keeps_everything_for_sync(
    start: Start, peer: Any, sync: Callable[..., int]
) -> None:
    peer.tokens.clear()
    run = start()
    run.log({"loss": 1.0})
    assert run.finish(timeout=1).pending == 1
    peer.tokens.add(TOKEN)
    wait_until_unlocked(Path(str(run.dir)))
    assert sync() == 0
    assert peer.run.points["loss"] == [(0, 1.0)]


def wait_until_unlocked(directory: Path) -> None:
    from scaledash.client.lock import is_held

    deadline = time.monotonic() + 120
    while is_held(directory / "send.lock"):
        assert time.monotonic() < deadline, "the sender did not end"
        time.sleep(0.02)


def test_refused_point_is_set_aside_and_the_rest_stored(start: Start, peer: Any) -> None:
    def holds_bad_value(body: dict[str, Any]) -> bool:
        return 666.0 in body.get("metrics", {}).get("loss", [])

    error = {"code": "invalid", "message": "no", "field": "/metrics/loss/3"}
    peer.takes_whole_runs = False
    peer.faults.append(Fault(422, times=9, path="/metrics", error=error, when=holds_bad_value))
    run = start()
    for step in range(10):
        run.log({"loss": 666.0 if step == 3 else float(step), "lr": 0.1}, step=step)
    run.finish()
    assert [step for step, _ in peer.run.points["loss"]] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert len(peer.run.points["lr"]) == 10
    assert peer.run.finish["dropped"] == 1


def test_refusal_without_a_place_is_found_by_halving(start: Start, peer: Any) -> None:
    def holds_bad_value(body: dict[str, Any]) -> bool:
        return 666.0 in body.get("metrics", {}).get("loss", [])

    peer.takes_whole_runs = False
    peer.faults.append(Fault(400, times=99, path="/metrics", when=holds_bad_value))
    run = start()
    for step in range(100):
        run.log({"loss": 666.0 if step == 77 else float(step)}, step=step)
    run.finish()
    expected = [(step, float(step)) for step in range(100) if step != 77]
    assert peer.run.points["loss"] == expected


def test_too_large_batches_are_halved(start: Start, peer: Any) -> None:
    peer.faults.append(
        Fault(413, times=99, path="/metrics", when=lambda body: len(body["steps"]) > 40)
    )
    run = start()
    for step in range(400):
        run.log({"loss": float(step)}, step=step)
    run.finish()
    assert peer.run.points["loss"] == [(step, float(step)) for step in range(400)]


def test_seq_used_by_another_sender_gives_a_new_writer(start: Start, peer: Any) -> None:
    peer.takes_whole_runs = False
    peer.faults.append(Fault(409, path="/metrics", error={"code": "seq_reuse"}))
    run = start()
    run.log({"loss": 1.0})
    run.finish()
    assert peer.run.points["loss"] == [(0, 1.0)]
    writers = [body["writer"] for _, path, body in peer.requests if path.endswith("/metrics")]
    assert len(set(writers)) == 2


def test_refused_part_of_the_description_is_left_out(start: Start, peer: Any) -> None:
    error = {"code": "unknown_value", "message": "no", "field": "/scale/n_parms"}
    peer.faults.append(
        Fault(422, times=9, error=error, when=lambda body: "n_parms" in body.get("scale", {}))
    )
    run = start(scale={"n_parms": 1, "n_tokens": 2})
    run.log({"loss": 1.0})
    run.finish()
    assert peer.run.document["scale"] == {"n_tokens": 2}


def test_finish_keeps_its_deadline_when_nobody_answers(start: Start, peer: Any) -> None:
    peer.faults.append(Fault("hole", times=10_000))
    run = start()
    run.log({"loss": 1.0})
    assert run.finish(timeout=0.5).pending == 1  # without a deadline it would end after an hour
    assert peer.faults[0].times > 9_000


def test_heartbeat_goes_on_beside_the_rows(start: Start, peer: Any, settings: Any) -> None:
    fast = scaledash.Settings(
        base_url=peer.url, api_key=TOKEN, pace=settings.pace, heartbeat_seconds=0.02
    )
    run = start(settings=fast)
    peer.wait_for(lambda: bool(peer.runs) and peer.run.beats >= 2)
    run.finish()


def test_killed_training_is_sent_and_reported_as_crashed(peer: Any) -> None:
    script = run_script(
        "run = scaledash.init('demo', settings=settings)\n"
        "for step in range(100): run.log({'loss': float(step)}, step=step)\n"
        "run.write_spool(); print('ready', flush=True); time.sleep(60)",
        peer,
    )
    assert script.stdout is not None
    script.stdout.readline()
    os.kill(script.pid, signal.SIGKILL)
    script.communicate()
    peer.wait_for(lambda: bool(peer.runs) and peer.run.state == "crashed")
    assert peer.run.points["loss"] == [(step, float(step)) for step in range(100)]


@pytest.mark.parametrize(
    ("ending", "state", "reason", "status"),
    [
        ("", "finished", None, 0),
        ("sys.exit(3)", "failed", "SystemExit", 3),
        ("raise ValueError('secret detail')", "failed", "ValueError", 1),
        ("raise KeyboardInterrupt", "interrupted", "KeyboardInterrupt", -signal.SIGINT),
        ("os.kill(os.getpid(), 15); time.sleep(60)", "interrupted", "SIGTERM", -signal.SIGTERM),
    ],
)
def test_end_of_the_script_is_the_end_of_the_run(
    peer: Any, ending: str, state: str, reason: str | None, status: int
) -> None:
    code = f"scaledash.init('demo', settings=settings).log({{'loss': 1.0}})\n{ending}"
    script = run_script(code, peer)
    script.communicate()
    assert script.returncode == status
    assert peer.run.finish["state"] == state
    assert peer.run.finish.get("reason") == reason
    assert peer.run.points["loss"] == [(0, 1.0)]


def test_training_goes_on_after_its_sender_was_killed(start: Start, peer: Any) -> None:
    run = start()
    run.log({"loss": 1.0})
    peer.wait_for(lambda: bool(peer.runs) and len(peer.run.points["loss"]) == 1)
    session = run._session
    assert session is not None and session._live is not None and session._live._process is not None
    session._live._process.kill()
    session._live._process.wait()
    session._live._started_at -= 60  # as if it had run for a minute
    run.log({"loss": 2.0})
    assert run.finish().pending == 0
    assert peer.run.points["loss"] == [(0, 1.0), (1, 2.0)]


def test_forked_children_write_into_the_run_exactly(peer: Any) -> None:
    script = run_script(
        "import os\n"
        "run = scaledash.init('demo', settings=settings)\n"
        "children = []\n"
        "for number in range(8):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        for step in range(50): run.log({f'm{number}': float(step)}, step=step)\n"
        "        os._exit(0)\n"
        "    children.append(pid)\n"
        "for pid in children: os.waitpid(pid, 0)\n"
        "run.log({'loss': 1.0}, step=0)\n",
        peer,
    )
    script.communicate()
    assert script.returncode == 0
    expected = [(step, float(step)) for step in range(50)]
    assert all(peer.run.points[f"m{number}"] == expected for number in range(8))
    assert peer.run.points["loss"] == [(0, 1.0)]


def test_token_is_in_no_argument_of_the_sender(start: Start, peer: Any) -> None:
    run = start()
    session = run._session
    assert session is not None and session._live is not None and session._live._process is not None
    assert TOKEN not in str(session._live._process.args)


def test_config_known_at_the_start_creates_the_run(start: Start, peer: Any) -> None:
    start(config={"lr": 0.1}, scale={"n_params": 1}).finish()
    _, _, created = peer.requests[0]
    assert (created["config"], created["scale"]) == ({"lr": 0.1}, {"n_params": 1})
    assert peer.count("PATCH", "") == 0


def test_config_arrives_although_the_reply_to_the_creation_is_lost(start: Start, peer: Any) -> None:
    peer.faults.append(Fault("drop", times=2, method="POST", path="/runs"))
    run = start()
    peer.wait_for(lambda: bool(peer.runs))
    run.config["lr"] = 0.1
    run.finish()
    assert peer.run.document["config"] == {"lr": 0.1}
