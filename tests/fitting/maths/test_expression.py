"""The language that chooses rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitting.maths.expression import ExpressionError, select_rows

COLUMNS = {
    "C": ["1e20", "1e21", "2e21", "nan"],
    "D": ["1e9", "2e9", "5e9", "1e9"],
    "model": ["small", "large", "large", "small"],
    "peak lr": ["1", "2", "3", "4"],
    "outlier": ["True", "False", "false", "False"],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("C < 1e21", [True, False, False, False]),
        ("C < 1e21 and D >= 2e9", [False, False, False, False]),
        ("C <= 1e21 or D >= 5e9", [True, True, True, False]),
        ("not C <= 1e21", [False, False, True, True]),
        ("model == 'large' and (D > 2e9 or C < 1.5e21)", [False, True, True, False]),
        ('model != "large"', [True, False, False, True]),
        ("`peak lr` > 2.5", [False, False, True, True]),
        ("outlier == False and C < 1e22", [False, True, True, False]),
        ("outlier != false", [True, False, False, False]),
        ("C < D", [False, False, False, False]),
        ("D < C", [True, True, True, False]),
        ("D == 2e9 or D == 5e9 and C < 1", [False, True, False, False]),
    ],
)
def test_rows_are_chosen(expression: str, expected: list[bool]) -> None:
    assert select_rows(expression, COLUMNS).tolist() == expected


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("E < 1", "no column 'E'"),
        ("C <", "found 'the end'"),
        ("C < 1 D", "did not expect 'D'"),
        ("(C < 1", "closing parenthesis"),
        ("C < model", "column 'model' holds no number"),
        ("model < 3", "column 'model' holds no number"),
        ("C < large", "'large' is no number, no column and not quoted"),
        ("outlier < True", "'True' is no number"),
        ("model < 'a'", "only be compared by == or !="),
        ("__import__('os')", "no column '__import__'"),
        ("C < 1; 2", "cannot read"),
        ("", "found 'the end'"),
    ],
)
def test_errors_say_what_and_where(expression: str, complaint: str) -> None:
    with pytest.raises(ExpressionError, match=complaint):
        select_rows(expression, COLUMNS)


@given(st.text(max_size=40))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    try:
        chosen = select_rows(text, COLUMNS)
    except ExpressionError:
        return
    assert chosen.dtype == np.bool_
    assert chosen.shape == (4,)
