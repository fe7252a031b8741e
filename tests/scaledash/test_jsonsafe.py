"""JSON leaves the server whole, whatever the numbers are."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaledash.lib import jsonsafe

NAN = math.nan


def refuse_constant(name: str) -> None:
    raise AssertionError(f"bare {name} in JSON")


def load_strictly(body: bytes) -> object:
    return json.loads(body, parse_constant=refuse_constant)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NAN, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        ([1.0, NAN], [1.0, "NaN"]),
        ({"a": {"b": (NAN, 2)}}, {"a": {"b": ["NaN", 2]}}),
        (np.float64("nan"), "NaN"),
        (np.float32("inf"), "Infinity"),
        (np.array([1.0, np.nan]), [1.0, "NaN"]),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array("2026-01-01", dtype="datetime64[D]"), "2026-01-01"),
        ({1: NAN}, {"1": "NaN"}),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ({np.int64(4): 1}, {"4": 1}),
        ({NAN: 1}, {"nan": 1}),
        (MappingProxyType({"a": NAN}), {"a": "NaN"}),
        (OrderedDict(a=1), {"a": 1}),
        ({3, 1, 2}, [1, 2, 3]),
        ({"a": frozenset({NAN})}, {"a": ["NaN"]}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (Decimal("1.5"), "1.5"),
        (2**70, 2**70),
        (-0.0, -0.0),
        (5e-324, 5e-324),
        (None, None),
    ],
)
def test_value_becomes_strict_json(value: object, expected: object) -> None:
    assert load_strictly(jsonsafe.dumps(value)) == expected
    assert load_strictly(jsonsafe.dumps(jsonsafe.make_safe(value))) == expected


def test_lone_surrogate_never_breaks_an_answer() -> None:
    assert load_strictly(jsonsafe.dumps({"name": "a\ud800b"})) == {"name": "a?b"}


FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@given(FLOATS)
def test_every_float_reads_back_exactly(value: float) -> None:
    back = jsonsafe.decode_float(load_strictly(jsonsafe.dumps(value)))
    assert back == value or (math.isnan(back) and math.isnan(value))


@given(
    st.recursive(
        FLOATS | st.text() | st.none() | st.booleans() | st.integers(-(2**80), 2**80),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_document_is_strict_json(value: object) -> None:
    load_strictly(jsonsafe.dumps(value))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1", "", True, [], {}, 10**400])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        jsonsafe.decode_float(value)


def test_absent_number_stays_absent() -> None:
    assert jsonsafe.decode_float(None) is None
