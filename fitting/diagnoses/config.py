"""What diagnostics need of a run beside its metrics, from its config and its scale facts."""

from __future__ import annotations

import hashlib
import json

from fitting.diagnoses.keys import Mapping
from fitting.maths.diagnose.case import RunConfig
from runs.facts import COLUMNS, walk
from runs.models import Run
from scaledash.lib.names import CONFIG_KEYS, plain_key

OWN_KEYS: dict[str, tuple[str, ...]] = {  # what the scale facts do not know; best first
    "clip": ("clip", "grad_clip", "clip_grad", "max_grad_norm", "clip_grad_norm", "gradient_clip"),
    "beta1": ("beta1", "adam_beta1", "b1"),
    "adam_eps": ("adam_eps", "adam_epsilon", "eps", "epsilon"),
    "optimizer": ("optimizer", "optim", "optimizer_name", "optimizer_type"),
    "dtype": ("dtype", "precision", "torch_dtype", "param_dtype"),
    "logits_dtype": ("logits_dtype",),
    "softcap_attn": ("softcap_attn", "attn_logit_softcapping", "attn_softcap"),
    "softcap_final": ("softcap_final", "final_logit_softcapping", "logit_softcap"),
    "qk_norm": ("qk_norm", "qk_layernorm", "use_qk_norm"),
    "baseline_bigram": ("baseline_bigram",),
    "baseline_unigram": ("baseline_unigram",),
    "z_loss_coef": ("z_loss_coef", "z_loss", "z_loss_multiplier"),
}
KEYS = {**{name: keys for name, keys in CONFIG_KEYS.items() if name in COLUMNS}, **OWN_KEYS}


def read_config(run: Run, mapping: Mapping) -> RunConfig:
    """Return the run's config by canonical names; scale facts of the run win over its config."""
    leaves: dict[str, object] = {}
    for path, value in walk(run.config):
        leaves.setdefault(plain_key(path), value)
    values = {
        name: leaves[key]
        for name, keys in KEYS.items()
        for key in keys[::-1]
        if leaves.get(key) is not None
    }
    values |= {fact: getattr(run, fact) for fact in COLUMNS if getattr(run, fact) is not None}
    values |= {"attempt": run.attempt, "overwritten": run.overwritten, "dropped": run.dropped}
    return RunConfig(values, mapping.guessed)


def make_digest(config: RunConfig, mapping: Mapping, version: str) -> str:
    """Return a text that changes with whatever the stored state depends on beside the points."""
    counted = ("overwritten", "dropped", "n_tokens", "flops")
    values = {name: value for name, value in config.values.items() if name not in counted}
    text = json.dumps([version, values, mapping.metrics], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
