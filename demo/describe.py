"""What a run says of itself: the config keys that diagnostics read, and the software used."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path

import numpy as np
import torch

from demo.grid import BATCH_TOKENS, BATCH_WINDOWS, Cell
from demo.recipe import BETA1, BETA2, CLIP
from demo.shape import SEQ_LEN

SOURCES = (
    "batches.py",
    "bpe.py",
    "corpus.py",
    "grid.py",
    "model.py",
    "optimizer.py",
    "recipe.py",
    "shape.py",
    "train.py",
)
Value = float | int | str | bool | None


def describe_cell(cell: Cell) -> dict[str, Value]:
    """Config of a run, under the names that studies recognise."""
    shape, recipe = cell.shape, cell.recipe
    return {
        "n_params": shape.n_params,
        "n_params_non_embedding": shape.n_params_non_embedding,
        "flops_per_token": shape.flops_per_token,
        "flop_convention": "logged",
        "width": shape.width,
        "depth": shape.depth,
        "n_heads": shape.n_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab,
        "seq_len": SEQ_LEN,
        "batch_size": BATCH_WINDOWS,
        "batch_tokens": BATCH_TOKENS,
        "tokens_per_step": BATCH_TOKENS,
        "peak_lr": cell.lr,
        "schedule": "cosine",
        "warmup_steps": recipe.warmup_steps,
        "total_steps": cell.steps,
        "qk_norm": "ln" if cell.qk_norm else "none",
        "qk_norm_per_head": cell.qk_norm,
        "z_loss_coef": cell.z_loss,
        "softcap_attn": None,
        "softcap_final": None,
        "kappa": cell.kappa,
        "optimizer": "adamw",
        "beta1": BETA1,
        "beta2": BETA2,
        "adam_eps": cell.adam_eps,
        "weight_decay": cell.weight_decay,
        "wd_mode": cell.wd_mode,
        "clip": CLIP,
        "dtype": "float32",
        "logits_dtype": "bfloat16" if cell.bf16_logits else "float32",
        "seed": cell.seed,
        "parametrization": cell.parametrization,
        "flop_budget": cell.budget,
        "part": cell.part,
        "log_every": cell.log_every,
    }


@cache
def describe_software(device: str, threads: int) -> dict[str, Value]:
    """Versions, and a digest of the code that decides the numbers."""
    folder = Path(__file__).resolve().parent
    digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in SOURCES))
    return {
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "numpy_version": np.__version__,
        "platform": platform.platform(),
        "cpu": read_cpu_name(),
        "device": device,
        "threads": threads,
        "demo_code_sha256": digest.hexdigest(),
    }


def read_cpu_name() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
