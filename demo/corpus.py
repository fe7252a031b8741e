"""The training text: Python sources of the standard library, byte by byte.

`python demo/corpus.py --write FILE` keeps the exact bytes, to train elsewhere on the same text.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import random
import sysconfig
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

MIN_BYTES = 24_000_000
TRAIN_SHARE = 0.95
VOCAB = 256
SMOOTHING = 0.01
NOT_STANDARD = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Corpus:
    """Text as bytes, split in two: the first 95% to train on, the rest to validate."""

    text: bytes
    n_files: int | None
    origin: str

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()

    @cached_property
    def train(self) -> np.ndarray:
        return np.frombuffer(self.text, np.uint8)[: int(TRAIN_SHARE * len(self.text))]

    @cached_property
    def validation(self) -> np.ndarray:
        return np.frombuffer(self.text, np.uint8)[int(TRAIN_SHARE * len(self.text)) :]

    @cached_property
    def baselines(self) -> dict[str, float]:
        """Validation loss in nats per byte of models that know counts only."""
        pairs = _count_pairs(self.train) + SMOOTHING
        seen = np.bincount(self.train, minlength=VOCAB) + SMOOTHING
        unigram = -np.log(seen / seen.sum())
        bigram = -np.log(pairs / pairs.sum(axis=1, keepdims=True))
        tested = _count_pairs(self.validation)
        return {
            "baseline_uniform": float(np.log(VOCAB)),
            "baseline_unigram": float(unigram[self.validation].mean()),
            "baseline_bigram": float((bigram * tested).sum() / tested.sum()),
        }


def _count_pairs(text: np.ndarray) -> np.ndarray:
    pairs = text[:-1].astype(np.int64) * VOCAB + text[1:]
    return np.bincount(pairs, minlength=VOCAB * VOCAB).reshape(VOCAB, VOCAB)


def list_sources(folder: Path) -> list[Path]:
    """Every Python file of the standard library, in one order on every machine."""
    names = (path.relative_to(folder) for path in folder.rglob("*.py"))
    kept = sorted(name for name in names if not NOT_STANDARD & set(name.parts))
    random.Random(0).shuffle(kept)
    return [folder / name for name in kept]


def build_corpus(folder: Path | None = None, min_bytes: int = MIN_BYTES) -> Corpus:
    """Concatenate shuffled source files until there are enough bytes, or no more files."""
    folder = folder or Path(sysconfig.get_paths()["stdlib"])
    parts: list[bytes] = []
    size_bytes = 0
    for path in list_sources(folder):
        if size_bytes >= min_bytes:
            break
        parts.append(path.read_bytes())
        size_bytes += len(parts[-1])
    return Corpus(b"".join(parts), len(parts), f"CPython {platform.python_version()}")


def load_corpus(path: Path | None = None) -> Corpus:
    """The corpus kept in a file, or the one of the Python that runs this."""
    if path is None:
        return build_corpus()
    return Corpus(path.read_bytes(), None, path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="keep the bytes in this file")
    arguments = parser.parse_args()
    corpus = build_corpus()
    if arguments.write:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        arguments.write.write_bytes(corpus.text)
    print(f"{corpus.origin}: {corpus.n_files} files, {len(corpus.text):,} bytes")
    print(f"sha256 {corpus.sha256}")
    print({name: round(value, 4) for name, value in corpus.baselines.items()})


if __name__ == "__main__":
    main()
