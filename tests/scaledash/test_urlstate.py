"""Lists in addresses: whatever is written is read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaledash.lib.urlstate import join_list, split_list


@given(st.lists(st.text(), min_size=1).filter(lambda items: items != [""]))
def test_a_list_survives_its_address(items: list[str]) -> None:
    assert split_list(join_list(items)) == items


@pytest.mark.parametrize(
    ("text", "items"),
    [("", []), ("a,b", ["a", "b"]), (r"a\,b,c", ["a,b", "c"]), ("a,", ["a", ""]), ("a\\", ["a\\"])],
)
def test_what_a_person_types_is_read(text: str, items: list[str]) -> None:
    assert split_list(text) == items
