"""A small language for choosing rows: ``C < 1e21 and (D >= 2e9 or model == "large")``.

Comparisons of a column with a number, another column, true, false or a quoted text, joined by and,
or, not and parentheses.
Nothing is evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fitting.maths.records import BoolArray, FloatArray

MAX_LENGTH = 1000
TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<sign><=|>=|==|!=|<|>)"
    r"|(?P<paren>[()])|(?P<text>\"[^\"]*\"|'[^']*')|(?P<word>[A-Za-z_][\w.]*)|`(?P<quoted>[^`]+)`)"
)
NUMERIC: dict[str, Callable[..., BoolArray]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class ExpressionError(ValueError):
    """The expression cannot be read; the message says where and why."""


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    place: int


def select_rows(expression: str, columns: Mapping[str, Sequence[str]]) -> BoolArray:
    """Return which rows the expression holds for.

    Parameters
    ----------
    expression : see the module; a column whose name is no plain word stands in backticks
    columns : name -> texts as they stand in the file

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ExpressionError
        For an unknown column, a stray symbol or a missing parenthesis.
    """
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters")
    parser = _Parser(_split_tokens(expression), columns, expression)
    chosen = parser.read_or()
    parser.expect_end()
    return chosen


def read_numbers(texts: Sequence[str]) -> FloatArray:
    """Return texts as float64; what is no number becomes NaN.

    Parameters
    ----------
    texts : as they stand in a file

    Returns
    -------
    ndarray, shape (n,)
    """
    return np.array([_read_number(text) for text in texts], dtype=np.float64)


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _split_tokens(expression: str) -> list[_Token]:
    tokens, place = [], 0
    text = expression.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise ExpressionError(f"cannot read {text[place:].strip()[:20]!r} in {expression!r}")
        kind = str(match.lastgroup)
        value = match.group(kind)
        tokens.append(_Token("word" if kind == "quoted" else kind, value, place))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent: or, and, not, comparison."""

    def __init__(
        self, tokens: list[_Token], columns: Mapping[str, Sequence[str]], expression: str
    ) -> None:
        self.tokens, self.columns, self.expression, self.place = tokens, columns, expression, 0

    def read_or(self) -> BoolArray:
        chosen = self._read_and()
        while self._take("word", "or"):
            chosen = chosen | self._read_and()
        return chosen

    def expect_end(self) -> None:
        if self.place < len(self.tokens):
            extra = self.tokens[self.place].value
            raise ExpressionError(f"did not expect {extra!r} in {self.expression!r}")

    def _read_and(self) -> BoolArray:
        chosen = self._read_not()
        while self._take("word", "and"):
            chosen = chosen & self._read_not()
        return chosen

    def _read_not(self) -> BoolArray:
        if self._take("word", "not"):
            return ~self._read_not()
        if self._take("paren", "("):
            chosen = self.read_or()
            if not self._take("paren", ")"):
                raise ExpressionError(f"a closing parenthesis is missing in {self.expression!r}")
            return chosen
        return self._read_comparison()

    def _read_comparison(self) -> BoolArray:
        column = self._next("word", "a column")
        if column.value not in self.columns:
            known = ", ".join(self.columns)
            raise ExpressionError(f"there is no column {column.value!r}; there are {known}")
        sign = self._next("sign", "one of < <= > >= == !=").value
        texts = self.columns[column.value]
        if self._peek("text"):
            wanted = self._next("text", "a text").value[1:-1]
            if sign not in ("==", "!="):
                raise ExpressionError(f"a text can only be compared by == or !=, not {sign}")
            same = np.array([text == wanted for text in texts], dtype=np.bool_)
            return same if sign == "==" else ~same
        if self._peek("word"):
            return self._compare_word(column.value, sign)
        number = float(self._next("number", "a number, a column or a quoted text").value)
        return NUMERIC[sign](self._read_column(column.value), number)

    def _read_column(self, name: str) -> FloatArray:
        values = read_numbers(self.columns[name])
        if values.size and np.isnan(values).all():
            raise ExpressionError(f"column {name!r} holds no number; quote the text to compare")
        return values

    def _compare_word(self, column: str, sign: str) -> BoolArray:
        """Compare with another column, or with true or false as a file writes them."""
        word = self._next("word", "a column").value
        if word in self.columns:
            return NUMERIC[sign](self._read_column(column), self._read_column(word))
        if word.lower() in ("true", "false") and sign in ("==", "!="):
            same = np.array(
                [text.lower() == word.lower() for text in self.columns[column]], dtype=np.bool_
            )
            return same if sign == "==" else ~same
        known = ", ".join(self.columns)
        raise ExpressionError(f"{word!r} is no number, no column and not quoted; columns: {known}")

    def _peek(self, kind: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place].kind == kind

    def _take(self, kind: str, value: str) -> bool:
        if self._peek(kind) and self.tokens[self.place].value == value:
            self.place += 1
            return True
        return False

    def _next(self, kind: str, what: str) -> _Token:
        if not self._peek(kind):
            found = self.tokens[self.place].value if self.place < len(self.tokens) else "the end"
            raise ExpressionError(f"expected {what}, found {found!r} in {self.expression!r}")
        self.place += 1
        return self.tokens[self.place - 1]
