"""Where the reference data lie, and how tests read them.

The files come from public scaling studies and are read, never copied into the repository.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fitting.maths.types import Rows

VARIABLE = "SCALEDASH_REFERENCE_DATA"
DEFAULT = "../shared/data"
ROOT = Path(__file__).resolve().parents[3]


@cache
def find_folder() -> Path:
    return Path(os.environ.get(VARIABLE) or ROOT / DEFAULT)


def read_reference(name: str) -> npt.NDArray[np.void]:
    """Read one file; skip the test where it is absent."""
    path = find_folder() / name
    if not path.is_file():
        shown = os.environ.get(VARIABLE) or DEFAULT
        pytest.skip(f"reference data not found at {shown}; set {VARIABLE}")
    return np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")


def read_chinchilla(with_all: bool = False) -> Rows:
    """Return epoch-research/analyzing-chinchilla@9225883: 240 rows, or all 245."""
    data = read_reference("chinchilla_svg.csv")
    data = data if with_all else data[data["excluded_by_epoch"] == 0]
    return Rows({"n_params": data["params"], "n_tokens": data["tokens"]}, data["loss"])


def read_isoflop(experiment: str, with_outliers: bool) -> Rows:
    """Return one experiment of Open-Athena/scaling-law-analysis@3e0656e."""
    data = read_reference("isoflops_public.csv")
    where = np.char.find(data["experiment"], experiment) >= 0
    data = data[where & (with_outliers | ~data["outlier"])]
    columns = {"n_params": data["params"], "n_tokens": data["tokens"], "flops": data["budget"]}
    return Rows(columns, data["loss"])


def read_steplaw() -> Rows:
    """Return step-law/steplaw@32a8f4c data/dense_lr_bs_loss.csv."""
    data = read_reference("steplaw_dense.csv")
    columns = {
        "n_params": data["N"].astype(float),
        "n_tokens": data["D"].astype(float),
        "peak_lr": data["lr"],
        "batch_tokens": data["bs"] * 2048.0,
    }
    return Rows(columns, data["smooth_loss"])
