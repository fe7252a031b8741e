"""Windows of text: which tokens a step sees depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from demo.bpe import encode, train_merges
from demo.corpus import Corpus
from demo.grid import BATCH_WINDOWS
from demo.shape import SEQ_LEN

VALIDATION_BATCHES = 8
VALIDATION_WINDOWS = 64
VALIDATION_SEED = 20240
MERGE_BYTES = 3_000_000  # merges are learned on the first part of the training text


class Batches:
    """The corpus as tokens on one device, ready to cut into windows."""

    def __init__(self, corpus: Corpus, vocab: int, device: str) -> None:
        self.device = device
        train, validation = corpus.train, corpus.validation
        if vocab > 256:
            merges = train_merges(train[:MERGE_BYTES].tobytes(), vocab)
            train = encode(train.tobytes(), merges)
            validation = encode(validation.tobytes(), merges)
        self.bytes_per_token = len(corpus.validation) / len(validation)
        self.baselines = corpus.baselines if vocab == 256 else {}
        self.n_train = len(train)
        self._train = torch.from_numpy(np.array(train)).to(device)
        self._window = torch.arange(SEQ_LEN + 1, device=device)
        self.validation = self._make_validation(torch.from_numpy(np.array(validation)))

    def _make_validation(self, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        shape = (VALIDATION_BATCHES, VALIDATION_WINDOWS)
        generator = np.random.default_rng(VALIDATION_SEED)
        offsets = torch.from_numpy(generator.integers(0, len(tokens) - SEQ_LEN, shape))
        return [self._cut(tokens.to(self.device), part.to(self.device)) for part in offsets]

    def _cut(self, tokens: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        windows = tokens[offsets[:, None] + self._window].long()
        return windows[:, :-1], windows[:, 1:]

    def draw(self, seed: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of every step; a longer run begins with the batches of a shorter."""
        if steps * BATCH_WINDOWS * SEQ_LEN > self.n_train:
            raise ValueError(f"{steps} steps would see more than one epoch of {self.n_train}")
        generator = np.random.default_rng(seed)
        shape = (steps, BATCH_WINDOWS)
        offsets = torch.from_numpy(generator.integers(0, self.n_train - SEQ_LEN, shape))
        for part in offsets.to(self.device):
            yield self._cut(self._train, part)
