"""The form that makes and edits a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify

from fitting.axes import AXES, CONFIG_PREFIX, SCALE_FACTS
from fitting.models import Estimator, Study
from fitting.services import SLUG
from runs.models import NAME_LENGTH
from teams.models import SLUG_LENGTH

SELECTIONS = (
    ("list", "chosen runs, and those that name it: init(study=…)"),
    ("group", "every run of one group"),
    ("all", "every run of the project"),
)
ESTIMATORS = (
    (Estimator.LAST, "last value"),
    (Estimator.TAIL_MEAN, "mean of the tail"),
    (Estimator.TAIL_MEDIAN, "median of the tail"),
    (Estimator.EMA, "debiased moving average"),
    (Estimator.BEST, "best value"),
)
AXIS_FIELDS = {
    "n": ("N, size", "n_params_non_embedding, else n_params"),
    "lr": ("Learning rate", "peak_lr"),
    "d": ("D, tokens", "n_tokens, else target_tokens"),
    "c": ("C, FLOPs", "flops"),
    "batch": ("Batch, tokens", "batch_tokens, else tokens_per_step"),
    "seed": ("Seed", "seed"),
    "loss_at_init": ("Loss at initialisation", "loss_at_init"),
}


class StudyForm(forms.Form):
    """A study as a person asks for it; an empty axis means the recognised default."""

    name = forms.CharField(label="Name", max_length=200)
    description = forms.CharField(
        label="Description", required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    kind = forms.ChoiceField(label="Runs", choices=SELECTIONS, initial="list")
    group = forms.CharField(
        label="Group",
        required=False,
        max_length=NAME_LENGTH,
        help_text="for “every run of one group”",
        widget=forms.TextInput(attrs={"list": "groups"}),
    )
    loss_metric = forms.CharField(
        label="Loss metric",
        required=False,
        max_length=NAME_LENGTH,
        help_text="empty: val/loss where runs log it, else train/loss",
        widget=forms.TextInput(attrs={"list": "metrics", "class": "mono"}),
    )
    estimator = forms.ChoiceField(label="Final loss", choices=ESTIMATORS, initial=Estimator.LAST)
    tail_fraction = forms.FloatField(
        label="Tail", min_value=0.001, max_value=1.0, initial=0.05, help_text="share of the steps"
    )
    variant_keys = forms.CharField(
        label="Split into variants by",
        required=False,
        help_text="config keys, with commas; empty: found from the runs",
        widget=forms.TextInput(attrs={"class": "mono", "list": "sources"}),
    )
    compared_with = forms.CharField(
        label="Compare with study",
        required=False,
        max_length=SLUG_LENGTH,
        help_text="slug of another study of the project: its variants join this one's in Variants",
        widget=forms.TextInput(attrs={"class": "mono"}),
    )
    runs = forms.CharField(required=False, widget=forms.HiddenInput())

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        for axis, (label, default) in AXIS_FIELDS.items():
            self.fields[f"axis_{axis}"] = forms.CharField(
                label=label,
                required=False,
                max_length=NAME_LENGTH,
                help_text=f"empty: {default}",
                widget=forms.TextInput(attrs={"class": "mono", "list": "sources"}),
            )

    @property
    def axis_fields(self) -> list[forms.BoundField]:
        """Return the fields of the axes, in order."""
        return [self[f"axis_{axis}"] for axis in AXES if axis in AXIS_FIELDS]

    def clean(self) -> dict[str, object]:
        """Check what depends on two fields."""
        fields = super().clean() or {}
        if fields.get("kind") == "group" and not fields.get("group"):
            self.add_error("group", "Name the group.")
        for axis in AXIS_FIELDS:
            source = fields.get(f"axis_{axis}", "")
            is_known = source in SCALE_FACTS or source.startswith(CONFIG_PREFIX)
            if source and not is_known:
                message = f"Name a scale fact ({', '.join(SCALE_FACTS[:3])}, …) or config.<path>."
                self.add_error(f"axis_{axis}", message)
        return fields

    def clean_name(self) -> str:
        """Refuse a name of which no address can be made."""
        name = self.cleaned_data["name"]
        if not SLUG.fullmatch(self.find_slug(name)):
            raise ValidationError("Use a name with at least one letter or digit (a to z, 0 to 9).")
        return name

    @staticmethod
    def find_slug(name: str) -> str:
        """Return the slug of a name."""
        return slugify(name)[:SLUG_LENGTH]

    def list_runs(self) -> list[str]:
        """Return the ids of the runs chosen in the runs table."""
        return [uid for uid in self.cleaned_data["runs"].split(",") if uid]

    def list_changes(self) -> dict[str, object]:
        """Return the fields as the service takes them."""
        fields = self.cleaned_data
        kind = fields["kind"]
        selection = {"kind": kind, "group": fields["group"]} if kind == "group" else {"kind": kind}
        keys = [key.strip() for key in fields["variant_keys"].split(",") if key.strip()]
        mapping = {axis: fields[f"axis_{axis}"] for axis in AXIS_FIELDS}
        return {
            "name": fields["name"],
            "description": fields["description"],
            "selection": selection,
            "mapping": {axis: source for axis, source in mapping.items() if source},
            "variant_keys": keys or None,
            "compared_with": fields["compared_with"].strip(),
            "loss_metric": fields["loss_metric"],
            "estimator": fields["estimator"],
            "tail_fraction": fields["tail_fraction"],
        }


def read_study(study: Study) -> Mapping[str, object]:
    """Return what the form shows of a study."""
    keys: Sequence[str] = study.variant_keys if study.has_chosen_variants else ()
    return {
        "name": study.name,
        "description": study.description,
        "kind": study.selection.get("kind", "list"),
        "group": study.selection.get("group", ""),
        "compared_with": study.compared_with,
        "loss_metric": study.loss_metric,
        "estimator": study.estimator,
        "tail_fraction": study.tail_fraction,
        "variant_keys": ", ".join(keys),
        **{f"axis_{axis}": source for axis, source in study.mapping.items()},
    }


class ExclusionForm(forms.Form):
    """Why a run is left out."""

    reason = forms.CharField(label="Reason", max_length=NAME_LENGTH)
