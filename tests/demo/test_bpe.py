"""Byte-pair encoding: merges by frequency, and nothing lost."""

from __future__ import annotations

from demo.bpe import encode, merge_word, train_merges

TEXT = b"def low(lower, lowest):\n    return lower + lowest + low\n" * 3


def test_most_frequent_pair_is_merged_first() -> None:
    assert train_merges(TEXT, 257) == [(ord("l"), ord("o"))]


def test_decoded_tokens_give_the_text_back() -> None:
    merges = train_merges(TEXT, 280)
    pieces = {index: bytes([index]) for index in range(256)}
    for place, (left, right) in enumerate(merges):
        pieces[256 + place] = pieces[left] + pieces[right]
    tokens = encode(TEXT, merges)
    assert b"".join(pieces[int(token)] for token in tokens) == TEXT
    assert len(tokens) < len(TEXT) / 2


def test_overlapping_pairs_merge_from_the_left() -> None:
    assert merge_word((1, 1, 1), (1, 1), 9) == (9, 1)
