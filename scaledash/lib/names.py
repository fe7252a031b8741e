"""Names that frameworks give to metrics and config keys, and what they stand for here.

Metrics match by the exact name, then without case and with every separator the same, then by the
patterns. Config keys match by their last component, without case and with "-" as "_".
"""

from __future__ import annotations

import re
from functools import lru_cache

LOSS_TRAIN = "loss.train"
LOSS_VAL = "loss.val"
MAX_ATTENTION_LOGIT = "attn.max_logit"
LEARNING_RATE = "optim.lr"
GRAD_NORM = "optim.grad_norm"
TOKENS = "tokens"
FLOPS = "flops"
LOSSES = (LOSS_TRAIN, LOSS_VAL)
ALIASES: dict[str, tuple[str, ...]] = {
    LOSS_TRAIN: (
        "train/CE loss",  # OLMo-core train/common.py
        "train/CrossEntropyLoss",  # OLMo train.py
        "loss_metrics/global_avg_loss",  # torchtitan metrics.py
        "lm loss",  # Megatron pretrain_gpt.py
        "train/lm_loss",  # gpt-neox logging.py
        "lm_loss",  # nanotron trainer.py
        "learning/lm_loss",  # maxtext train.py
        "cross_ent_loss",  # t5x models.py
        "loss/out",  # lingua train.py
        "train/loss",  # nanoGPT, levanter, open_lm, HF
        "train_loss",  # nanodo metrics.py
        "__train_loss",
        "loss",  # litgpt, HF raw, and most hand-written loops
    ),
    LOSS_VAL: (
        "validation_metrics/loss",  # torchtitan
        "lm loss validation",  # Megatron training.py
        "eval/loss",  # levanter, HF
        "eval_loss",  # HF, nanodo
        "val/loss",  # nanoGPT
        "val_loss",  # litgpt
        "valid/loss",
        "validation/loss",
        "eval/avg_loss",  # maxtext
        "evaluation/loss",
    ),
    "loss.total": ("learning/loss", "loss/train/total"),  # maxtext; composer trainer.py
    "loss.max_rank": ("loss_metrics/global_max_loss",),  # torchtitan metrics.py
    "loss.z": (
        "train/Z loss",  # OLMo-core
        "train/ZLoss",  # OLMo
        "z_loss",  # t5x, nanotron
        "learning/z_loss",  # maxtext
        "eval/avg_z_loss",
    ),
    "logits.logz_sq": ("train/Z loss unscaled",),  # OLMo-core train_module.py
    "logits.mean": ("train/logit_mean",),  # open_lm train.py
    MAX_ATTENTION_LOGIT: (
        "max_attention_logit",  # Megatron training.py
        "learning/max_logits",  # maxtext train.py
        "S_max",
    ),
    LEARNING_RATE: (
        "optim/LR (group 0)",  # OLMo-core
        "optim/learning_rate_group0",  # OLMo train.py
        "learning-rate",  # Megatron
        "train/learning_rate",  # gpt-neox, HF
        "lr",  # nanotron, nanoGPT
        "train/lr",  # open_lm
        "optim/lr",  # lingua
        "optim/learning_rate",  # levanter
        "learning/current_learning_rate",  # maxtext
        "learning_rate",  # litgpt, nanodo, t5x, HF raw
    ),
    GRAD_NORM: (
        "optim/total grad norm",  # OLMo-core
        "optim/total_grad_norm",  # OLMo
        "grad_norm",  # torchtitan, nanotron, HF raw
        "optim/grad_norm",  # lingua
        "grad/norm/total",  # levanter tree_stats.py
        "learning/raw_grad_norm",  # maxtext
        "l2_norm/grad/global",  # composer optimizer_monitor.py
        "weight_gradient_norm",  # t5x trainer.py
        "train/grad_norm",  # HF
    ),
    "optim.grad_norm_clipped": ("learning/grad_norm",),  # maxtext train.py
    "gns.b_simple": ("train/noise_scale",),  # gpt-neox logging.py
    TOKENS: (
        "throughput/total tokens",  # OLMo-core
        "throughput/total_tokens",  # OLMo, levanter
        "n_tokens_seen",  # torchtitan trainer.py
        "consumed_tokens",  # nanotron
        "train/tokens",  # open_lm
        "optim/total_tokens",  # lingua
        "total_tokens",  # litgpt, all ranks
        "time/token",  # composer
        "train_tokens_seen",  # nanodo
        "num_input_tokens_seen",  # HF
        "train/num_input_tokens_seen",
    ),
    FLOPS: (
        "throughput/total petaflops",  # OLMo-core, x 1e15
        "throughput/total_training_Gflops",  # OLMo, x 1e9
        "throughput/total_gflops",  # levanter, x 1e9
        "total_training_flops",  # nanochat
        "total_flos",  # HF
        "train/total_flos",
    ),
}
PATTERNS = (
    (re.compile(r"eval/.*/CrossEntropyLoss"), LOSS_VAL),  # OLMo evaluator.py
    (re.compile(r"lr-[^/]+/group0"), LEARNING_RATE),  # composer lr_monitor.py
    (re.compile(r"lr/[^/]+(/\d+)?"), LEARNING_RATE),  # torchtitan lr_scheduler.py
    (re.compile(r"attn[./]max_logit[./](L|layer_)\d+"), MAX_ATTENTION_LOGIT),
    (re.compile(r"(layers?|blocks?|h)[._/]?\d+.*(attn|attention|qk).*max.*logit"),
     MAX_ATTENTION_LOGIT),
    (re.compile(r"(max_?attn|max_?attention|attn.*max|qk.*max).*logit|logits_max"),
     MAX_ATTENTION_LOGIT),
)  # fmt: skip
FLOP_UNITS = {  # simplified name -> FLOPs in one unit of the metric
    "throughput_total_petaflops": 1e15,
    "throughput_total_training_gflops": 1e9,
    "throughput_total_gflops": 1e9,
}
HF_FLOP_NAMES = ("total_flos", "train_total_flos")
_SEPARATORS = re.compile(r"[\s\-./_]+")


@lru_cache(maxsize=8192)
def canonical_metric(name: str) -> str | None:
    """Return the canonical name of a metric, or None where it is not recognised."""
    if name in ALIASES:
        return name
    found = _BY_PLAIN.get(_simplify(name))
    if found is not None:
        return found
    return next((canonical for pattern, canonical in PATTERNS if pattern.fullmatch(name)), None)


def find_flop_unit(name: str) -> float:
    """Return how many FLOPs one unit of a metric of FLOPs stands for."""
    return FLOP_UNITS.get(_simplify(name), 1.0)


def name_flop_convention(name: str) -> str:
    """Return the convention by which a framework counts the FLOPs of this metric."""
    return "hf_total_flos" if _simplify(name) in HF_FLOP_NAMES else "logged"


def _simplify(name: str) -> str:
    return _SEPARATORS.sub("_", name.casefold()).strip("_")


# What MLflow's names may not hold is "_" there: Hugging Face rewrites its metrics so.
_NOT_IN_MLFLOW = re.compile(r"[^0-9A-Za-z_\-. :/]")
_BY_PLAIN = {
    _simplify(spelling): canonical
    for canonical, aliases in ALIASES.items()
    for alias in (canonical, *aliases)
    for spelling in (alias, _NOT_IN_MLFLOW.sub("_", alias))
}

CONFIG_KEYS: dict[str, tuple[str, ...]] = {  # scale fact -> keys, best first
    "n_params": ("n_params", "num_params", "num_parameters", "total_params"),
    "n_params_non_embedding": (
        "n_params_non_embedding",
        "n_params_nonemb",
        "non_embedding_params",
    ),
    "n_params_active": ("n_params_active", "active_params"),
    "target_tokens": ("target_tokens", "max_tokens", "train_tokens"),
    "flops_per_token": ("flops_per_token",),
    "tokens_per_step": ("tokens_per_step",),
    "batch_tokens": ("batch_tokens",),
    "batch_size": ("batch_size",),
    "seq_len": ("seq_len", "sequence_length", "max_seq_len", "block_size", "context_length"),
    "accumulation": ("gradient_accumulation_steps", "grad_accum_steps", "accumulation"),
    "world_size": ("world_size",),
    "peak_lr": ("peak_lr", "lr", "learning_rate", "max_lr"),
    "schedule": ("schedule", "lr_scheduler_type"),
    "warmup_steps": ("warmup_steps",),
    "total_steps": ("total_steps", "max_steps"),
    "width": ("width", "d_model", "hidden_size", "n_embd"),
    "depth": ("depth", "n_layers", "num_hidden_layers", "n_layer"),
    "n_heads": ("n_heads", "num_attention_heads", "n_head"),
    "head_dim": ("head_dim",),
    "vocab": ("vocab", "vocab_size"),
    "seed": ("seed",),
    "parametrization": ("parametrization",),
    "optimizer": ("optimizer",),
    "loss_at_init": ("loss_at_init",),
    "qk_norm": ("qk_norm",),
    "z_loss_coef": ("z_loss_coef",),
    "weight_decay": ("weight_decay",),
    "wd_mode": ("wd_mode",),
    "adam_eps": ("adam_eps",),
}


def plain_key(path: str) -> str:
    """Return what a config path is matched by: its last component, folded."""
    return path.rpartition(".")[2].casefold().replace("-", "_")
