"""The search language of MLflow as a list of comparisons. Pure: no text is evaluated.

metrics.loss < 0.3 and params."lr" = '0.1' and tags.kind LIKE '%a%' and attributes.status = 'FAILED'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runs.mlflow.errors import MlflowError, invalid

METRIC, PARAM, TAG, ATTRIBUTE = "metric", "param", "tag", "attribute"
ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), METRIC),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), PARAM),
    **dict.fromkeys(("tag", "tags"), TAG),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), ATTRIBUTE),
}
MAX_CLAUSES = 50
MAX_LISTED = 1_000
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'(?:[^']|'')*'|"[^"]*"|`[^`]*`)
    |(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
    |(?P<operator><>|!=|>=|<=|=|<|>)
    |(?P<mark>[(),])
    |(?P<word>[A-Za-z_][\w\-/.:]*))""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A piece of a search; `kind` is quoted, number, operator, mark or word."""

    kind: str
    text: str


@dataclass(frozen=True)
class Name:
    """What a clause compares: a metric, a param, a tag or an attribute."""

    entity: str
    key: str


@dataclass(frozen=True)
class Clause:
    """One comparison; `values` has several only for IN and NOT IN, none for IS NULL."""

    name: Name
    operator: str
    values: tuple[str, ...]
    is_number: bool = False


class _Reader:
    """The tokens of a search, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_split(text))
        self.place = 0

    def peek(self) -> Token:
        if self.place < len(self.tokens):
            return self.tokens[self.place]
        return Token("end", "")

    def take(self) -> Token:
        token = self.peek()
        self.place += 1
        return token

    def take_word(self, *words: str) -> bool:
        token = self.peek()
        if token.kind == "word" and token.text.upper() in words:
            self.place += 1
            return True
        return False

    def refuse(self, wanted: str) -> MlflowError:
        token = self.peek()
        shown = repr(token.text[:40]) if token.kind != "end" else "the end"
        return invalid(f"Invalid filter {self.text[:200]!r}: {wanted}, not {shown}.")


def parse(text: str) -> list[Clause]:
    """Return the comparisons of a search, all of which must hold."""
    if not text.strip():
        return []
    reader = _Reader(text)
    clauses = [_read_clause(reader)]
    while reader.take_word("AND"):
        clauses.append(_read_clause(reader))
        if len(clauses) > MAX_CLAUSES:
            raise invalid(f"A filter has at most {MAX_CLAUSES} comparisons.")
    if reader.peek().kind != "end":
        raise reader.refuse("comparisons are joined by AND only")
    return clauses


def parse_order(text: str) -> tuple[Name, bool]:
    """Return what to order by, and whether it descends."""
    reader = _Reader(text)
    name = _read_name(reader)
    is_descending = reader.take_word("DESC")
    if not is_descending:
        reader.take_word("ASC")
    if reader.peek().kind != "end":
        raise reader.refuse("an order is a name with ASC or DESC")
    return name, is_descending


def _split(text: str) -> Iterator[Token]:
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            rest = text[place:].strip()[:40]
            raise invalid(f"Invalid filter {text[:200]!r}: {rest!r} is not understood.")
        kind = str(match.lastgroup)
        yield Token(kind, match.group(kind))
        place = match.end()


def _read_name(reader: _Reader) -> Name:
    token = reader.take()
    if token.kind == "quoted" and token.text[0] != "'":
        return Name(ATTRIBUTE, _fold(_unquote(token.text)))
    if token.kind != "word":
        reader.place -= 1
        raise reader.refuse("a name such as metrics.loss, params.lr, tags.kind or status is wanted")
    head, dot, key = token.text.partition(".")
    if not dot:
        return Name(ATTRIBUTE, _fold(head))
    entity = ENTITIES.get(head.lower())
    if entity is None:
        raise invalid(f"There is no entity {head[:40]!r}; use metrics, params, tags, attributes.")
    if not key and reader.peek().kind == "quoted":
        key = _unquote(reader.take().text)
    if not key:
        raise reader.refuse(f"a key after {token.text!r} is wanted")
    return Name(entity, _fold(key) if entity == ATTRIBUTE else key)


def _fold(key: str) -> str:
    return key.strip().lower().replace(" ", "_")


def _unquote(text: str) -> str:
    inside = text[1:-1]
    return inside.replace("''", "'") if text[0] == "'" else inside


def _read_clause(reader: _Reader) -> Clause:
    name = _read_name(reader)
    if reader.take_word("IS"):
        is_negated = reader.take_word("NOT")
        if not reader.take_word("NULL"):
            raise reader.refuse("IS NULL or IS NOT NULL is wanted")
        return Clause(name, "IS NOT NULL" if is_negated else "IS NULL", ())
    if reader.take_word("NOT"):
        if not reader.take_word("IN"):
            raise reader.refuse("NOT IN is wanted")
        return Clause(name, "NOT IN", _read_list(reader))
    if reader.take_word("IN"):
        return Clause(name, "IN", _read_list(reader))
    operator = reader.take()
    word = operator.text.upper()
    if operator.kind != "operator" and word not in ("LIKE", "ILIKE"):
        reader.place -= 1
        raise reader.refuse("one of = != < <= > >= LIKE ILIKE IN IS is wanted")
    value, is_number = _read_value(reader)
    return Clause(name, "!=" if word == "<>" else word, (value,), is_number)


def _read_value(reader: _Reader) -> tuple[str, bool]:
    token = reader.take()
    if token.kind == "number":
        return token.text, True
    if token.kind == "quoted" and token.text[0] != "`":
        return _unquote(token.text), False
    reader.place -= 1
    raise reader.refuse("a number or a text in quotes is wanted")


def _read_list(reader: _Reader) -> tuple[str, ...]:
    if reader.take() != Token("mark", "("):
        reader.place -= 1
        raise reader.refuse("a list in parentheses is wanted")
    values = []
    while True:
        values.append(_read_value(reader)[0])
        mark = reader.take()
        if mark == Token("mark", ")"):
            break
        if mark != Token("mark", ","):
            reader.place -= 1
            raise reader.refuse("a comma or a parenthesis is wanted")
    if len(values) > MAX_LISTED:
        raise invalid(f"A list has at most {MAX_LISTED:,} values.")
    return tuple(values)
