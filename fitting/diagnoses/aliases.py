"""Names with a trap: what they stand for, in which unit, and what is not what it looks like.

`scaledash.lib.names` knows the names that mean the same everywhere. Here stand those whose values
need a unit, those that mean something else beside other metrics of the same framework, and those
that no diagnostic may read. Read in the frameworks' code; the file is named where it matters.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Alias:
    """What a name stands for.

    `key` may use the groups of the pattern; an empty one says that nothing may read the metric.
    """

    pattern: re.Pattern[str]
    key: str
    note: str
    unit: str = ""

    def read(self, name: str) -> str | None:
        """Return the key of a name, None where the pattern does not fit."""
        found = self.pattern.fullmatch(name)
        return None if found is None else found.expand(self.key)


PARAMETER = r"(?P<p>[^\s].*?)"
ALIASES = (
    Alias(re.compile(r".* vs samples"),
          "", "Megatron-LM: the same series once more, against samples"),
    Alias(re.compile(r"loss_bpB|val[/_]bpb|eval/bpb"),
          "loss.val", "nanodo, nanochat", "bits_per_byte"),
    Alias(re.compile(r"train/bpb"), "loss.train", "nanochat", "bits_per_byte"),
    Alias(
        re.compile(r"train/(PPL|Perplexity)|train_perplexity|learning/perplexity"),
        "loss.train",
        "exp of the loss; where the loss is logged as well, that is read",
        "perplexity",
    ),
    Alias(
        re.compile(r"val_ppl|val/ppl|lm loss validation ppl|eval/perplexity"),
        "loss.val",
        "exp of the loss; where the loss is logged as well, that is read",
        "perplexity",
    ),
    Alias(re.compile(r"train/lrm"), "", "nanochat: a multiplier of the learning rate, not one"),
    Alias(re.compile(r"skipped-train-samples"),
          "", "Megatron-LM: a running count of samples, not 0 or 1"),
    Alias(re.compile(r"loss-scale|train/loss_scale"), "optim.loss_scale", "Megatron-LM, gpt-neox"),
    Alias(re.compile(rf"weight_update_rms/{PARAMETER}"), "", "t5x: includes the learning rate"),
    Alias(re.compile(rf"weight_gradient_rms/{PARAMETER}"), r"grad.rms.\g<p>", "t5x trainer.py"),
    Alias(re.compile(rf"weight_rms/{PARAMETER}"), r"param.rms.\g<p>", "t5x trainer.py"),
    Alias(re.compile(rf"grads/{PARAMETER}/rms"), r"grad.rms.\g<p>", "nanodo metrics.py"),
    Alias(re.compile(rf"updates/{PARAMETER}/rms"),
          r"update.rms.\g<p>", "nanodo: LR already divided out"),
    Alias(re.compile(rf"params/{PARAMETER}/rms"), r"param.rms.\g<p>", "nanodo metrics.py"),
    Alias(re.compile(r"updates/norm/total"), "", "levanter: includes the learning rate"),
    Alias(re.compile(r"params/norm/total|params-norm|learning/param_norm"), "param.norm",
           "levanter, Megatron-LM, MaxText"),
    Alias(re.compile(rf"grad/{PARAMETER}\.norm"), r"grad.rms.\g<p>", "OLMo optim.py", "norm"),
    Alias(re.compile(rf"grad/norm/{PARAMETER}"),
          r"grad.rms.\g<p>", "levanter tree_stats.py", "norm"),
    Alias(re.compile(rf"l2_norm/grad/{PARAMETER}"), r"grad.rms.\g<p>", "Composer", "norm"),
    Alias(re.compile(rf"gradient_norms/{PARAMETER}"), r"grad.rms.\g<p>", "gpt-neox", "norm"),
    Alias(re.compile(rf"param/{PARAMETER}\.norm"), r"param.rms.\g<p>", "OLMo optim.py", "norm"),
    Alias(re.compile(rf"l2_norm/param/{PARAMETER}"), r"param.rms.\g<p>", "Composer", "norm"),
    Alias(re.compile(rf"parameter_norms/{PARAMETER}"), r"param.rms.\g<p>", "gpt-neox", "norm"),
    Alias(re.compile(rf"l2_norm/(update|moment)/{PARAMETER}"),
          "", "Composer: a norm that includes the LR"),
    Alias(re.compile(rf"exp_avg(_sq)?/{PARAMETER}\.norm"), "", "OLMo: a norm of Adam's moment"),
    Alias(re.compile(rf"activations/l2_norm/{PARAMETER}"), "", "Composer: a norm, not an RMS"),
)  # fmt: skip

# What gives a framework away, before a name is read that means something else there.
FINGERPRINTS = {
    "t5x": ("cross_ent_loss",),
    "nanochat": ("train/lrm",),
}
IN_FRAMEWORK = {
    ("t5x", "loss"): Alias(
        re.compile("loss"), "loss.total", "t5x: cross-entropy and z-loss together"
    ),
    ("nanochat", "train/loss"): Alias(
        re.compile("train/loss"), "loss.train", "nanochat: a moving average"
    ),
}


def find_framework(names: Collection[str]) -> str:
    """Return the framework that logs these names, empty where none is certain."""
    return next(
        (name for name, marks in FINGERPRINTS.items() if all(mark in names for mark in marks)), ""
    )


def find_alias(name: str, framework: str = "") -> Alias | None:
    """Return what a name with a trap stands for."""
    special = IN_FRAMEWORK.get((framework, name))
    return special or next((item for item in ALIASES if item.pattern.fullmatch(name)), None)
