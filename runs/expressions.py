"""The filter language: text to a tree of comparisons. Pure; what a field is, is said elsewhere.

    expression = term {"or" term}          term = factor {"and" factor}
    factor     = "not" factor | "(" expression ")" | comparison
    comparison = field operator value | field ["not"] "in" "(" value {"," value} ")"

Every token knows its place, so that an error can point at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

MAX_LENGTH = 1_000
MAX_DEPTH = 20
MAX_COMPARISONS = 50
OPERATORS = ("<=", ">=", "!=", "==", "!~", "=", "<", ">", "~")
WORDS = frozenset({"and", "or", "not", "in"})
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<sign><=|>=|!=|==|!~|[=<>~(),])
    |(?P<word>[^\s"'=<>!~(),]+(?:"(?:[^"\\]|\\.)*"[^\s"'=<>!~(),]*)*)
    |(?P<end>$)
    )""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")


class BadExpression(Exception):
    """A filter that cannot be read; `position` counts characters from 1."""

    def __init__(self, message: str, position: int, code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.code = code


@dataclass(frozen=True)
class Token:
    """A piece of the text: kind is text (quoted), sign, word or end."""

    kind: str
    text: str
    position: int

    def is_word(self, *words: str) -> bool:
        """Say whether this is one of the language's own words."""
        return self.kind == "word" and self.text.lower() in words


@dataclass(frozen=True)
class Comparison:
    """One comparison: a field, an operator, and the values on its right."""

    field: Token
    operator: str
    values: tuple[Token, ...]


@dataclass(frozen=True)
class Not:
    """What is true where its part is false."""

    part: Node


@dataclass(frozen=True)
class Junction:
    """Parts joined by "and" or "or"."""

    word: str
    parts: tuple[Node, ...]


Node = Comparison | Not | Junction


def parse(text: str) -> Node:
    """Return the tree of a filter, or raise BadExpression that points at the first mistake."""
    if len(text) > MAX_LENGTH:
        message = f"A filter has at most {MAX_LENGTH:,} characters, not {len(text):,}."
        raise BadExpression(message, MAX_LENGTH + 1, "too_long")
    return _Parser(tokenise(text)).parse()


def tokenise(text: str) -> list[Token]:
    """Cut a filter into tokens; the last one is the end."""
    found: list[Token] = []
    place = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, place)
        if match is None:
            rest = text[place:].lstrip()
            position = len(text) - len(rest) + 1
            if rest[:1] in "\"'":
                raise BadExpression("This quoted text has no end.", position)
            raise BadExpression(f"{rest[:1]!r} means nothing here.", position)
        kind = str(match.lastgroup)
        token = match.group(kind)
        if kind == "text":
            token = _ESCAPED.sub(r"\1", token[1:-1])
        found.append(Token(kind, token, match.start(kind) + 1))
        place = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens; one method a rule."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.n_comparisons = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def parse(self) -> Node:
        found = self._parse_expression(0)
        if self.token.kind != "end":
            self._fail("Expected and, or, or the end of the filter")
        return found

    def _parse_expression(self, depth: int) -> Node:
        parts = [self._parse_term(depth)]
        while self._accept("or"):
            parts.append(self._parse_term(depth))
        return parts[0] if len(parts) == 1 else Junction("or", tuple(parts))

    def _parse_term(self, depth: int) -> Node:
        parts = [self._parse_factor(depth)]
        while self._accept("and"):
            parts.append(self._parse_factor(depth))
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def _parse_factor(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            message = f"A filter nests at most {MAX_DEPTH} levels deep."
            raise BadExpression(message, self.token.position)
        if self._accept("not"):
            return Not(self._parse_factor(depth + 1))
        if self._accept_sign("("):
            found = self._parse_expression(depth + 1)
            self._expect_sign(")")
            return found
        return self._parse_comparison()

    def _parse_comparison(self) -> Node:
        field = self.token
        if field.kind != "word" or field.text.lower() in WORDS:
            self._fail("Expected a field, such as lr, config.optimizer or loss")
        self.n_comparisons += 1
        if self.n_comparisons > MAX_COMPARISONS:
            message = f"A filter has at most {MAX_COMPARISONS} comparisons."
            raise BadExpression(message, field.position)
        self.place += 1
        if self.token.is_word("in"):
            self.place += 1
            return Comparison(field, "in", self._parse_list())
        if self.token.is_word("not"):
            self.place += 1
            if not self._accept("in"):
                self._fail("Expected in after not")
            return Not(Comparison(field, "in", self._parse_list()))
        return self._parse_operator(field)

    def _parse_operator(self, field: Token) -> Node:
        operator = self.token.text
        if self.token.kind != "sign" or operator not in OPERATORS:
            self._fail(f"Expected one of {' '.join(OPERATORS)} or in")
        self.place += 1
        value = self._parse_value()
        if operator in ("!=", "!~"):
            return Not(Comparison(field, "=" if operator == "!=" else "~", (value,)))
        return Comparison(field, "=" if operator == "==" else operator, (value,))

    def _parse_list(self) -> tuple[Token, ...]:
        self._expect_sign("(")
        values = [self._parse_value()]
        while self._accept_sign(","):
            values.append(self._parse_value())
        self._expect_sign(")")
        return tuple(values)

    def _parse_value(self) -> Token:
        value = self.token
        if value.kind not in ("word", "text") or value.is_word(*WORDS):
            self._fail("Expected a value: a number, a word, or text in quotes")
        self.place += 1
        return value

    def _accept(self, word: str) -> bool:
        found = self.token.is_word(word)
        self.place += found
        return found

    def _accept_sign(self, sign: str) -> bool:
        found = self.token.kind == "sign" and self.token.text == sign
        self.place += found
        return found

    def _expect_sign(self, sign: str) -> None:
        if not self._accept_sign(sign):
            self._fail(f"Expected {sign}")

    def _fail(self, wanted: str) -> NoReturn:
        token = self.token
        found = "the end" if token.kind == "end" else repr(token.text[:40])
        raise BadExpression(f"{wanted}, not {found}.", token.position)
