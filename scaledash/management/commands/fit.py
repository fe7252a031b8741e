"""Fit a scaling law to a CSV file, without a database or a server."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand, CommandError

from scaledash.lib import jsonsafe

if TYPE_CHECKING:
    from fitting.csv_fit import FitRequest


class Command(BaseCommand):
    """`manage.py fit LAW DATA.csv --map ROLE=column ... --target column`."""

    help = "Fit a scaling law to a CSV file, without a database."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command line."""
        parser.add_argument("law", nargs="?", default="", help="slug of the law; see --list")
        parser.add_argument("data", nargs="?", default="", help="CSV file with a header line")
        parser.add_argument("--list", action="store_true", help="list laws, roles and options")
        parser.add_argument("--map", nargs="+", action="extend", default=[], metavar="ROLE=COLUMN")
        parser.add_argument("--target", default="", help="column that the law predicts")
        parser.add_argument("--group", default="", help="column of the budget, curve or pool")
        parser.add_argument("--cluster", default="", help="column of the resampling unit")
        parser.add_argument("--where", default="", help='rows to use, e.g. "C < 1e21 and D >= 2e9"')
        parser.add_argument("--holdout", default="", help="rows to withhold and predict")
        parser.add_argument(
            "--set", nargs="+", action="extend", default=[], metavar="OPTION=VALUE", dest="options"
        )
        parser.add_argument(
            "--bootstrap", type=_read_count, default=4000, help="number of replicas; 0 = none"
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument("--plot", default="", help="write a page with the fit to this file")

    def handle(self, *args: object, **options: object) -> None:
        """Run the request and print the answer."""
        from fitting.csv_fit import CsvFitError, describe_answer, run_request
        from fitting.fit_report import describe_laws, list_law_documents, render_page, render_text
        from fitting.maths.expression import ExpressionError

        if options["list"]:
            laws = jsonsafe.dumps(list_law_documents()).decode() if options["json"] else ""
            self.stdout.write(laws or describe_laws())
            return
        try:
            answer = run_request(self._read_request(options))
        except (CsvFitError, ExpressionError) as error:
            raise CommandError(str(error)) from None
        plain = describe_answer(answer, int(str(options["seed"])))
        if options["plot"]:
            Path(str(options["plot"])).write_text(render_page(answer), encoding="utf-8")
        self.stdout.write(
            jsonsafe.dumps(plain).decode() if options["json"] else render_text(answer)
        )

    @staticmethod
    def _read_request(options: dict[str, object]) -> FitRequest:
        from fitting.csv_fit import FitRequest

        if not options["law"] or not options["data"] or not options["target"]:
            raise CommandError(
                "usage: manage.py fit LAW DATA.csv --map ROLE=column ... --target column; "
                "manage.py fit --list shows the laws"
            )
        return FitRequest(
            law=str(options["law"]),
            path=Path(str(options["data"])),
            mapping=_read_pairs(options["map"], "--map"),
            target=str(options["target"]),
            group=str(options["group"]),
            cluster=str(options["cluster"]),
            where=str(options["where"]),
            holdout=str(options["holdout"]),
            options=_read_pairs(options["options"], "--set"),
            replicas=int(str(options["bootstrap"])),
            seed=int(str(options["seed"])),
        )


def _read_count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ArgumentTypeError(f"{text} is below 0")
    return count


def _read_pairs(texts: object, flag: str) -> dict[str, str]:
    assert isinstance(texts, list)
    pairs = {}
    for text in texts:
        name, sign, value = str(text).partition("=")
        if not sign:
            raise CommandError(f"{flag} takes name=value, not {text!r}")
        pairs[name.strip()] = value.strip()
    return pairs
