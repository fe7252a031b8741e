"""What diagnostics need of a run beside its metrics, from its config and its scale facts."""

from __future__ import annotations

import hashlib
import json

from fitting.diagnoses.keys import MetricMap, map_metrics
from fitting.diagnoses.rules import Rules
from fitting.maths.diagnose.case import RunConfig
from fitting.maths.diagnose.registry import list_diagnostics
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
    "bytes_per_token": ("bytes_per_token",),
    "weight_decay": ("weight_decay", "wd"),
    "z_loss_coef": ("z_loss_coef", "z_loss", "z_loss_multiplier"),
}
NUMEL = ".numel."  # before the path of a parameter whose size it is
KEYS = {**{name: keys for name, keys in CONFIG_KEYS.items() if name in COLUMNS}, **OWN_KEYS}


def describe_run(run: Run, rules: Rules) -> tuple[RunConfig, MetricMap]:
    """Return what diagnostics know of a run beside its points, and which metric is read as what."""
    values = read_values(run)
    mapping = map_metrics(run.summary, rules.meanings, RunConfig(values))
    values["unread"] = mapping.unread
    return RunConfig(values, mapping.guessed, rules.limits), mapping


def read_values(run: Run) -> dict[str, object]:
    """Return the run's config by canonical names; scale facts of the run win over its config."""
    leaves: dict[str, object] = {}
    numel: dict[str, object] = {}
    for path, value in walk(run.config):
        leaves.setdefault(plain_key(path), value)
        if NUMEL in f".{path}":
            numel[f"numel.{f'.{path}'.partition(NUMEL)[2]}"] = value
    values = {
        name: leaves[key]
        for name, keys in KEYS.items()
        for key in keys[::-1]
        if leaves.get(key) is not None
    }
    values |= {fact: getattr(run, fact) for fact in COLUMNS if getattr(run, fact) is not None}
    counts = {"attempt": run.attempt, "overwritten": run.overwritten, "dropped": run.dropped}
    return {**numel, **values, **counts}


def make_digest(config: RunConfig, mapping: MetricMap, version: str) -> str:
    """Return a text that changes with whatever the stored state depends on beside the points.

    Of the thresholds these are the kept ones; all others are looked at when a state is judged.
    """
    counted = ("overwritten", "dropped", "n_tokens", "flops", "unread")
    values = {name: value for name, value in config.values.items() if name not in counted}
    kept = [
        [slug, name, config.limits[slug][name].value]
        for slug, item in list_diagnostics().items()
        for name in item.kept
        if name in config.limits.get(slug, {})
    ]
    read = [version, values, mapping.metrics, mapping.units, kept]
    text = json.dumps(read, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
