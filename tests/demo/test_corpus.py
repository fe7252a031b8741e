"""The training text is a pure function of the folder it is read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.corpus import Corpus, build_corpus, list_sources


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name in (
        "b.py",
        "a.py",
        "pkg/c.py",
        "site-packages/d.py",
        "pkg/dist-packages/e.py",
        "f.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 10)
    return tmp_path


def test_installed_packages_and_other_files_stay_out(library: Path) -> None:
    found = {path.relative_to(library).as_posix() for path in list_sources(library)}
    assert found == {"a.py", "b.py", "pkg/c.py"}


def test_order_does_not_depend_on_where_the_folder_lies(library: Path, tmp_path: Path) -> None:
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    library.rename(moved)
    first = build_corpus(moved).text
    moved.rename(library)
    assert build_corpus(library).text == first


def test_text_ends_with_the_first_file_that_makes_it_long_enough(library: Path) -> None:
    corpus = build_corpus(library, min_bytes=41)
    assert corpus.n_files == 2
    assert len(corpus.text) in {80, 120}


def test_split_keeps_every_byte_once() -> None:
    corpus = Corpus(bytes(range(100)), 1, "test")
    assert (len(corpus.train), len(corpus.validation)) == (95, 5)
    assert bytes(corpus.train) + bytes(corpus.validation) == corpus.text


def test_baselines_of_a_text_that_alternates() -> None:
    baselines = Corpus(b"ab" * 1000, 1, "test").baselines
    assert baselines["baseline_uniform"] == pytest.approx(5.545, abs=1e-3)
    # Half a, half b: ln 2, plus what 256 smoothed counts of 0.01 take away (2.56 of 1900).
    assert baselines["baseline_unigram"] == pytest.approx(0.6931, abs=2e-3)
    # b always follows a: only the smoothing is left (2.56 of 950).
    assert baselines["baseline_bigram"] == pytest.approx(0.0, abs=4e-3)
