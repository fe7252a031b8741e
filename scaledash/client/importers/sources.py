"""Which reader a source needs."""

from __future__ import annotations

import argparse
from pathlib import Path

from scaledash.client.errors import UsageError
from scaledash.client.importers.model import Source, Tally


def open_source(options: argparse.Namespace, tally: Tally) -> Source:
    """Return the reader of the source that the options name.

    Raises
    ------
    UsageError
        There is nothing at this place, or an optional package is missing.
    """
    kind, place = options.kind, options.source
    if kind == "wandb" and not Path(place).exists():
        from scaledash.client.importers.wandb_api import WandbApi

        return WandbApi(place, tally)
    if kind == "mlflow":
        from scaledash.client.importers.mlflow import open_mlflow

        return open_mlflow(place, tally, with_deleted=options.deleted)
    if kind == "aim" and place.startswith(("aim://", "ssh://")):
        raise UsageError(f"{place}: give the folder of the repository, on the machine that has it")
    path = Path(place).expanduser()
    if not path.exists():
        raise UsageError(f"there is nothing at {place}")
    return _open_path(kind, path, options, tally)


def _open_path(kind: str, path: Path, options: argparse.Namespace, tally: Tally) -> Source:
    if kind == "csv":
        from scaledash.client.importers.facts import read_mapping
        from scaledash.client.importers.table import Tables

        return Tables(path, tally, set(read_mapping(options.map).values()))
    if kind == "tensorboard":
        from scaledash.client.importers.tensorboard import TensorBoard

        return TensorBoard(path, tally)
    if kind == "wandb":
        from scaledash.client.importers.wandb_file import WandbFiles

        return WandbFiles(path, tally)
    if kind == "aim":
        from scaledash.client.importers.aim import AimRepo

        return AimRepo(path, tally, with_archived=options.deleted)
    from scaledash.client.importers.neptune import NeptuneExport

    return NeptuneExport(path, tally)
