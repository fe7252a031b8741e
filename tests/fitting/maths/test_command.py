"""`manage.py fit` as a user runs it: no database, one JSON document or text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fitting.maths.synthetic import make_rows

ROOT = Path(__file__).resolve().parents[3]


def run_fit(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment["SCALEDASH_SECRET_KEY"] = "only-for-tests-" + "0" * 50
    command = [sys.executable, "manage.py", "fit", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def csv_path(tmp_path: Path) -> Path:
    rows = make_rows("chinchilla_parametric", 0.002)
    lines = ["N,D,loss"]
    for n, d, loss in zip(*rows.columns.values(), rows.target, strict=True):
        lines.append(f"{float(n)!r},{float(d)!r},{float(loss)!r}")
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines))
    return path


def test_json_answer_is_one_document(csv_path: Path) -> None:
    done = run_fit(
        "chinchilla_parametric",
        str(csv_path),
        "--map",
        "n_params=N",
        "n_tokens=D",
        "--target",
        "loss",
        "--where",
        "N < 1e10 and D >= 2e8",
        "--holdout",
        "C > 1e21",
        "--set",
        "delta=0.001",
        "budget=1e22",
        "--bootstrap",
        "50",
        "--seed",
        "3",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    plain = json.loads(done.stdout)
    assert (plain["law"], plain["status"], plain["seed"]) == ("chinchilla_parametric", "fit", 3)
    assert plain["heldout"]["n"] > 0
    assert plain["params"]["alpha"] == pytest.approx(0.34, abs=0.02)


def test_text_answer_and_page(csv_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    done = run_fit(
        "chinchilla_vpnls",
        str(csv_path),
        "--map",
        "n_params=N",
        "n_tokens=D",
        "--target",
        "loss",
        "--bootstrap",
        "20",
        "--plot",
        str(page),
    )
    assert done.returncode == 0, done.stderr
    assert "held out" in done.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_mistake_is_one_sentence_and_no_traceback(csv_path: Path) -> None:
    done = run_fit(
        "chinchilla_parametric", str(csv_path), "--map", "n_params=size", "--target", "loss"
    )
    assert done.returncode == 1
    assert "the file has no column 'size'; it has N, D, loss" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_as_json_names_roles_and_options() -> None:
    done = run_fit("--list", "--json")
    laws = {law["slug"]: law for law in json.loads(done.stdout)}
    assert laws["isoflop"]["options"][0]["choices"] == ["parabola", "akima"]
    assert [role["role"] for role in laws["kaplan"]["roles"]] == ["n_params", "n_tokens"]


def test_a_negative_number_of_replicas_is_refused(csv_path: Path) -> None:
    done = run_fit("chinchilla_parametric", str(csv_path), "--target", "loss", "--bootstrap", "-5")
    assert done.returncode != 0
    assert "-5 is below 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_needs_no_file() -> None:
    done = run_fit("--list")
    assert done.returncode == 0, done.stderr
    assert "rl_sigmoid" in done.stdout
