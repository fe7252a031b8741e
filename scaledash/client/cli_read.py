"""Commands that read from the server: runs, study, fit, export, open."""

from __future__ import annotations

import argparse
import json
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scaledash.client.api import EXPORTED, FORMATS, Api
from scaledash.client.errors import UsageError
from scaledash.client.nonfinite import write_value
from scaledash.client.remote_fit import LR_EXPONENT, RemoteFit
from scaledash.client.remote_run import RemoteRun
from scaledash.client.remote_study import RemoteStudy

DONE, REFUSED = 0, 3
COLUMNS = ("name", "state", "outcome", "n_params", "n_tokens", "peak_lr", "loss", "id")
LOSSES = ("loss.val", "eval/loss", "val/loss", "val_loss", "loss.train", "train/loss", "loss")


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands to the parser of `scaledash`."""
    command = commands.add_parser(
        "runs",
        parents=[shared],
        help="runs of a project",
        description="A table of runs: state, outcome, scale facts and last loss.",
    )
    command.add_argument("project", metavar="PROJECT")
    command.add_argument("--filter", default="", help="such as 'lr >= 1e-3 and state = finished'")
    command.add_argument("--order", default="-created", help="field; - first for descending")
    command.add_argument("--limit", type=int, default=50, help="at most so many; 50 by default")
    command.set_defaults(run=_list_runs)

    command = commands.add_parser(
        "study",
        parents=[shared],
        help="studies, or one and its fits",
        description="The studies of a project; or one with every law, fitted or refused.",
    )
    command.add_argument("path", metavar="PROJECT[/STUDY]")
    command.set_defaults(run=_show_study)

    command = commands.add_parser(
        "fit",
        parents=[shared],
        help="a fit of a study, and predictions",
        description="A fit as the server made it, and what it predicts at a size or a budget.",
    )
    command.add_argument("path", metavar="PROJECT/STUDY")
    command.add_argument("law", nargs="?", default=LR_EXPONENT, help=f"by default {LR_EXPONENT}")
    command.add_argument("--variant", help="which runs, such as qk_norm=ln")
    command.add_argument("--version", type=int, dest="fit_version", help="by default the newest")
    command.add_argument("--n", type=_read_quantity, help="predict at this size, such as 400M")
    command.add_argument("--d", type=_read_quantity, help="with --n, the loss at these tokens")
    command.add_argument("--c", type=_read_quantity, help="predict at this budget in FLOPs")
    command.set_defaults(run=_show_fit)

    command = commands.add_parser(
        "export",
        parents=[shared],
        help="write runs, points, fits",
        description="Write runs and every point of a project, or a study with fits and figures.",
    )
    command.add_argument("path", metavar="PROJECT[/STUDY]")
    command.add_argument("--format", choices=FORMATS, default="jsonl")
    command.add_argument("--filter", default="", help="which runs of the project")
    command.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR")
    command.set_defaults(run=_export)

    command = commands.add_parser(
        "open",
        parents=[shared],
        help="open a page in the browser",
        description="Print the address of a page, and open it where there is a terminal.",
    )
    command.add_argument("path", nargs="?", default="", metavar="[PROJECT[/STUDY or RUN]]")
    command.add_argument("--print", action="store_true", help="print the address only")
    command.set_defaults(run=_open)


def _read_quantity(text: str) -> float:
    """Return a number that may have a unit, as the pages of studies take it."""
    from scaledash.client.importers.facts import read_number

    number = read_number(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; write it like 400M or 1e9")
    return number


def _list_runs(options: argparse.Namespace) -> int:
    with _reading() as api:
        runs = list(api.runs(options.project, options.filter, options.order, options.limit))
    if options.json:
        _print_json([run.document for run in runs])
    else:
        print(_lay_out([COLUMNS, *map(_describe_run, runs)]) if runs else "No run is like that.")
    return DONE


def _describe_run(run: RemoteRun) -> tuple[str, ...]:
    last = run.summary_metrics
    loss = next((last[name] for name in LOSSES if name in last), None)
    numbers = (run.scale.get("n_params"), run.scale.get("n_tokens"), run.scale.get("peak_lr"), loss)
    return (run.name, run.state, run.outcome, *map(_show_number, numbers), run.id)


def _show_study(options: argparse.Namespace) -> int:
    with _reading() as api:
        if "/" not in options.path:
            return _list_studies(options, api.studies(options.path))
        study = api.study(options.path)
        fits = study.fits()
    if options.json:
        _print_json({**study.document, "fits": [_describe_fit(fit) for fit in fits]})
        return DONE
    document = study.document
    progress = document.get("progress") or {}
    print(f"{study.name}: {document['n_runs']} runs, {progress.get('sentence') or ''}\n{study.url}")
    print(_lay_out([("law", "variant", "version", "result"), *map(_sum_up, fits)]))
    return DONE


def _list_studies(options: argparse.Namespace, studies: Sequence[RemoteStudy]) -> int:
    if options.json:
        _print_json([study.document for study in studies])
        return DONE
    rows = [(study.slug, str(study.document["n_runs"]), study.name, study.url) for study in studies]
    print(_lay_out([("study", "runs", "name", "page"), *rows]) if rows else "No study yet.")
    return DONE


def _sum_up(fit: RemoteFit) -> tuple[str, ...]:
    found = fit.refusal or ", ".join(_name_estimates(fit))
    return fit.law, fit.variant, str(fit.version), found


def _name_estimates(fit: RemoteFit) -> Iterator[str]:
    for name, value in (fit.params or {}).items():
        interval = fit.intervals.get(name)
        ends = f" [{interval[0]:.4g}, {interval[1]:.4g}]" if interval else ""
        yield f"{name} {value:.4g}{ends}"


def _show_fit(options: argparse.Namespace) -> int:
    if Path(options.path).is_file():
        raise UsageError(
            f"{options.path} is a file: `manage.py fit LAW DATA.csv`, in a checkout of ScaleDash,"
            " fits a file without a server; this command reads a fit of PROJECT/STUDY"
        )
    with _reading() as api:
        fit = api.study(options.path).fit(options.law, options.variant, options.fit_version)
        asked = {"N": options.n, "D": options.d, "C": options.c}
        wanted = {name: value for name, value in asked.items() if value}
        predicted = fit.predict(**wanted) if wanted and not fit.refusal else {}
    if options.json:
        values = {name: vars(value) for name, value in predicted.items()}
        _print_json({**_describe_fit(fit), "predicted": values})
    else:
        print("\n".join(_tell_fit(fit)))
        for name, value in predicted.items():
            beyond = ", extrapolated" if value.extrapolated else ""
            print(f"{name} = {value.value:.4g} [{value.low:.4g}, {value.high:.4g}]{beyond}")
    return REFUSED if fit.refusal else DONE


def _tell_fit(fit: RemoteFit) -> Iterator[str]:
    yield f"{fit.form} of {fit.variant or 'all runs'}, version {fit.version}, {fit.created}"
    yield from [f"refused: {fit.refusal}"] if fit.refusal else _name_estimates(fit)


def _describe_fit(fit: RemoteFit) -> dict[str, object]:
    names = ("law", "form", "variant", "version", "created", "digest", "params", "intervals")
    return {**{name: getattr(fit, name) for name in names}, "refusal": fit.refusal}


def _export(options: argparse.Namespace) -> int:
    options.output.mkdir(parents=True, exist_ok=True)
    with _reading() as api:
        if "/" in options.path:
            written = list(_export_study(api.study(options.path), options.output))
        else:
            written = list(_export_project(api, options))
    if options.json:
        _print_json([{"path": str(path), "size_bytes": path.stat().st_size} for path in written])
    else:
        print("\n".join(f"{path.stat().st_size:>14,} bytes  {path}" for path in written))
    return DONE


def _export_project(api: Api, options: argparse.Namespace) -> Iterator[Path]:
    for what in EXPORTED:
        path = options.output / f"{options.path}-{what}.{options.format}"
        api.export(options.path, path, what, options.format, options.filter)
        yield path


def _export_study(study: RemoteStudy, folder: Path) -> Iterator[Path]:
    parts: dict[str, Any] = {"runs": study.rows(), "exclusions": study.excluded()}
    parts["forecasts"] = [asdict(forecast) for forecast in study.forecasts()]
    parts["fits"] = {name: study.result(name) for name in study.analyses}
    parts["figures"] = {name: study.figure_document(name) for name in study.figures()}
    for name, part in parts.items():
        path = folder / f"{study.project}-{study.slug}-{name}.json"
        path.write_text(_encode(part), encoding="utf-8")
        yield path


def _open(options: argparse.Namespace) -> int:
    with _reading() as api:
        url = _find_page(api, options.path.strip("/"))
    if options.json:
        _print_json({"url": url})
    else:
        print(url)
    if not (options.print or options.json) and sys.stdout.isatty():
        webbrowser.open(url)
    return DONE


def _find_page(api: Api, path: str) -> str:
    project, slash, name = path.partition("/")
    if not project:
        return api.base_url
    if not slash:
        return f"{api.base_url}/p/{api.project(project).slug}"
    studies = {study.slug: study for study in api.studies(project)}
    return studies[name].url if name in studies else api.run(path).url


class _reading:
    """An Api that is closed in the end."""

    def __enter__(self) -> Api:
        self._api = Api()
        return self._api

    def __exit__(self, *error: object) -> None:
        self._api.close()


def _show_number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else ""


def _lay_out(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns; the last one is as wide as it likes."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _print_json(document: object) -> None:
    print(_encode(document))


def _encode(document: object) -> str:
    return json.dumps(_spell(document), indent=2, ensure_ascii=False, allow_nan=False)


def _spell(value: object) -> object:
    """Return a document in which numbers that are not finite are text, as the API writes them."""
    if isinstance(value, dict):
        return {str(key): _spell(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spell(inner) for inner in value]
    return write_value(value) if isinstance(value, float) else value
