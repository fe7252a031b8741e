"""Byte-pair encoding, for the one part of the grid that needs a larger vocabulary."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

WORD = re.compile(rb" ?[A-Za-z_]+| ?[0-9]+|\n *|[^A-Za-z0-9_]")
Pair = tuple[int, int]
Word = tuple[int, ...]


def merge_word(word: Word, pair: Pair, new: int) -> Word:
    """Replace every occurrence of a pair, left to right."""
    merged: list[int] = []
    place = 0
    while place < len(word):
        if word[place : place + 2] == pair:
            merged.append(new)
            place += 2
        else:
            merged.append(word[place])
            place += 1
    return tuple(merged)


def train_merges(text: bytes, vocab: int) -> list[Pair]:
    """Merge the most frequent pair until the vocabulary is full; ties go to the lower pair."""
    counts = Counter(WORD.findall(text))
    words = [tuple(word) for word in counts]
    weights = list(counts.values())
    frequency: Counter[Pair] = Counter()
    places: dict[Pair, set[int]] = defaultdict(set)
    for index, word in enumerate(words):
        _count_word(word, weights[index], frequency)
        for pair in _pairs(word):
            places[pair].add(index)
    merges: list[Pair] = []
    while len(merges) < vocab - 256:
        pair = max(frequency, key=lambda item: (frequency[item], -item[0], -item[1]))
        new = 256 + len(merges)
        merges.append(pair)
        for index in places.pop(pair):
            _count_word(words[index], -weights[index], frequency)
            words[index] = merge_word(words[index], pair, new)
            _count_word(words[index], weights[index], frequency)
            for other in _pairs(words[index]):
                places[other].add(index)
        del frequency[pair]
    return merges


def _pairs(word: Word) -> Iterable[Pair]:
    return pairwise(word)


def _count_word(word: Word, weight: int, frequency: Counter[Pair]) -> None:
    for pair in _pairs(word):
        frequency[pair] += weight


def encode(text: bytes, merges: list[Pair]) -> np.ndarray:
    """Token ids of a text; equal words are encoded once."""
    rank = {pair: place for place, pair in enumerate(merges)}
    known: dict[bytes, Word] = {}
    ids: list[int] = []
    for piece in WORD.findall(text):
        if piece not in known:
            known[piece] = _encode_word(tuple(piece), rank, merges)
        ids.extend(known[piece])
    return np.array(ids, dtype=np.int64)


def _encode_word(word: Word, rank: dict[Pair, int], merges: list[Pair]) -> Word:
    while True:
        found = [rank[pair] for pair in _pairs(word) if pair in rank]
        if not found:
            return word
        best = min(found)
        word = merge_word(word, merges[best], 256 + best)
