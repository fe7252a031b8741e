"""What a law is, what it is fitted to and what a fit holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from fitting.maths.records import (
    INTERNAL,
    BoolArray,
    Curve,
    Derived,
    Estimate,
    Exclusion,
    FloatArray,
    IntArray,
    Interval,
    Record,
    Refusal,
)
from fitting.maths.results import Convergence, Fit, HeldOut, Objective
from fitting.maths.rows import Columns, Options, Params, Rows, Settings

__all__ = [
    "INTERNAL",
    "BoolArray",
    "Columns",
    "Convergence",
    "Curve",
    "CurveForm",
    "Derived",
    "DerivedQuantity",
    "Estimate",
    "Exclusion",
    "Fit",
    "FloatArray",
    "HeldOut",
    "IntArray",
    "Interval",
    "Law",
    "LawInput",
    "LawOption",
    "LawParam",
    "Objective",
    "Optimum",
    "OptionError",
    "Options",
    "Params",
    "Point",
    "Procedure",
    "Published",
    "Record",
    "Refusal",
    "Review",
    "Rows",
    "Separable",
    "Settings",
    "Split",
    "Terms",
]


Split = tuple[FloatArray, FloatArray, FloatArray | None]  # N*, D*, L* at a budget


@dataclass(frozen=True)
class LawInput(Record):
    """One variable of a law.

    Parameters
    ----------
    role : n_params, n_tokens, flops, peak_lr, ...
    symbol : as in the formula
    unit : in words
    positive : rows with a value <= 0 are left out
    octaves : least span, in factors of two, below which its exponent is not reported
    optional : the law runs without it
    """

    role: str
    symbol: str
    unit: str
    positive: bool = True
    octaves: float = 0.0
    optional: bool = False


@dataclass(frozen=True)
class LawParam(Record):
    """One parameter of a law; a bound without meaning makes an estimate on it a failure."""

    name: str
    text: str
    unit: str = ""
    lower: float = -np.inf
    upper: float = np.inf
    bound_has_meaning: bool = False


@dataclass(frozen=True)
class LawOption(Record):
    """One documented setting of a law.

    Parameters
    ----------
    name, default, text : default None means a number that the law does without
    choices : the only values there are
    least, most : bounds of a number; `is_above` leaves the lower bound itself out
    """

    name: str
    default: object
    text: str
    choices: tuple[object, ...] = ()
    least: float = -np.inf
    most: float = np.inf
    is_above: bool = False

    def find_fault(self, value: object) -> str:
        """Return what an allowed value is, where this one is not; else an empty text."""
        if self.choices:
            return "" if value in self.choices else f"one of {', '.join(map(str, self.choices))}"
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else "true or false"
        if value is None and self.default is None:
            return ""
        is_whole = isinstance(self.default, int)
        if isinstance(value, Real) and not isinstance(value, bool):
            number = float(value)
            above = number > self.least if self.is_above else number >= self.least
            is_inside = np.isfinite(number) and above and number <= self.most
            if is_inside and (not is_whole or number.is_integer()):
                return ""
        ends = []
        if np.isfinite(self.least):
            ends.append(f"{'>' if self.is_above else '>='} {self.least:g}")
        if np.isfinite(self.most):
            ends.append(f"<= {self.most:g}")
        kind = "a whole number" if is_whole else "a number"
        none = " or none" if self.default is None else ""
        return " ".join([kind, " and ".join(ends)]).strip() + none


class OptionError(ValueError):
    """An option that a law does not have, or a value that it does not take."""


@dataclass(frozen=True)
class Published(Record):
    """Coefficients from the literature, drawn as an optional reference line."""

    label: str
    values: Mapping[str, float]
    source: str
    verified: bool = True


@dataclass(frozen=True)
class DerivedQuantity(Record):
    """A named function of the parameters; `compute` broadcasts over replicas."""

    name: str
    text: str
    unit: str
    compute: Callable[[Params, Options], FloatArray]


@dataclass(frozen=True)
class Terms:
    """The rows of a separable law: ``term_k = c_k * factor_k * exp(-sum_m nu_m * log_km)``.

    Parameters
    ----------
    factor : ndarray, shape (k, n), known multiplier of each term; its sign is the term's
    logs : ndarray, shape (k, m, n), what each nonlinear parameter multiplies; 0 = not in the term
    """

    factor: FloatArray
    logs: FloatArray


@dataclass(frozen=True)
class Separable(Record):
    """A sum of terms, linear in positive coefficients: no start values, nothing depends on one.

    Parameters
    ----------
    linear : names of the coefficients c_k > 0, one per term
    nonlinear : names of the nonlinear parameters nu_m
    grids : values of each nonlinear parameter at which the search starts
    terms : (columns, options) -> Terms
    """

    linear: tuple[str, ...]
    nonlinear: tuple[str, ...]
    grids: tuple[FloatArray, ...]
    terms: Callable[[Columns, Options], Terms]


@dataclass(frozen=True)
class CurveForm(Record):
    """A law with more structure: bounded least squares from several starts.

    Parameters
    ----------
    predict : (params name -> (B, 1), columns, options) -> ndarray, shape (B, n)
    starts : (rows, options) -> ndarray, shape (n_starts, p), in the search space
    lower, upper : bounds in the search space, one per parameter
    log : which parameters are searched as their logarithm
    replica_starts : how many of the best starts each replica repeats
    decode : (searched parameters, geometric means of the columns) -> the law's parameters, where
        the search runs in better conditioned ones under the same names
    frozen : parameters that keep their start
    wild : replicas flip the signs of the residuals instead of resampling rows
    """

    predict: Callable[[Params, Columns, Options], FloatArray]
    starts: Callable[[Rows, Options], FloatArray]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    log: tuple[bool, ...]
    replica_starts: int = 1
    decode: Callable[[Params, Mapping[str, float]], Params] | None = None
    wild: bool = False
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """What a procedure returns for one set of rows.

    Parameters
    ----------
    params : name -> value
    objective : value of what was minimised; NaN where nothing was
    table : one mapping per group (budget, scale, cell) for the page
    exclusions : groups or rows the procedure left out, with the reason
    warnings : sentences
    """

    params: Mapping[str, float]
    objective: float = np.nan
    table: tuple[Mapping[str, object], ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Optimum(Record):
    """What a procedure finds in each group of rows, so that a group can be withheld and predicted.

    Parameters
    ----------
    column : of the procedure's table, with one row per group; a row with `used` false has none
    role : what the column holds
    size : (rows) -> (n,), what groups are ordered by
    size_of : (row of the table) -> the same of its group
    predict : (params, row of the table) -> the optimum by the law
    """

    column: str
    role: str
    size: Callable[[Rows], FloatArray]
    size_of: Callable[[Mapping[str, object]], float]
    predict: Callable[[Mapping[str, float], Mapping[str, object]], float]


@dataclass(frozen=True)
class Procedure(Record):
    """A law defined by its steps; replicas call `run` on resampled rows.

    Parameters
    ----------
    run : (rows, options) -> Point or Refusal
    resample : "rows", "within_groups" or "groups"
    replicate : faster replicas: (rows, settings) -> name -> (B,), NaN where a replica failed
    predict : (params, columns, options) -> prediction, where the law predicts the target
    predict_rows : the same for laws that need more of the rows than their columns
    optimum : for laws that predict the optimum of a group of rows and no single row
    """

    run: Callable[[Rows, Options], Point | Refusal]
    resample: str = "rows"
    replicate: Callable[[Rows, Settings], Params] | None = None
    predict: Callable[[Params, Columns, Options], FloatArray] | None = None
    predict_rows: Callable[[Mapping[str, float], Rows, Options], FloatArray] | None = None
    optimum: Optimum | None = None


@dataclass(frozen=True)
class Review:
    """What a law has to say about its own estimate.

    Parameters
    ----------
    warnings : sentences
    withheld : parameter or derived quantity -> why its interval is not shown
    refusal : the estimate must not be shown at all
    """

    warnings: tuple[str, ...] = ()
    withheld: Mapping[str, str] = field(default_factory=dict)
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Law(Record):
    """One scaling law: everything that the registry, the engine, pages and docs need.

    Parameters
    ----------
    slug, title : name of the file; text
    formula, tex : the formula as plain text and as TeX
    inputs, target, params : variables, what is predicted, parameters
    structure : Separable, CurveForm or Procedure
    objective : what is minimised
    source : paper with section, or repository at commit
    group : what a group of rows is ("budget", "curve"); empty where the law has none
    curve : (params, columns, options, x) -> y of the line drawn against `curve_role`
    refuse : rules of this law on the rows, on top of the common ones
    prepare : adds columns that the law computes from rows, groups and schedules
    flat_target_means : equal targets are data for this law, such as a fixed number of passes
    keeps_non_finite : rows with a non-finite target are data for this law
    profile : an option and the values it is profiled over when it is None
    review : rules of this law on the estimate and its replicas
    weigh : weight of each row in the objective; None = 1
    apart : pairs of roles that play the same part in the formula: rows in which one is a power of
        the other cannot say which exponent belongs to which, and are refused
    allocate : (params, flops) -> compute-optimal N*, D* and L* (None where the law has none),
        broadcasting; None for a law that says nothing about the split of a budget
    truth, design : parameters and inputs of the synthetic self-test
    """

    slug: str
    title: str
    formula: str
    tex: str
    inputs: tuple[LawInput, ...]
    target: LawInput
    params: tuple[LawParam, ...]
    structure: Separable | CurveForm | Procedure
    objective: Objective
    source: str
    version: int = 1
    group: str = ""
    procedure: str = ""
    pitfalls: tuple[str, ...] = ()
    options: tuple[LawOption, ...] = ()
    derived: tuple[DerivedQuantity, ...] = ()
    published: tuple[Published, ...] = ()
    curve_role: str = ""
    curve: Callable[[Params, Columns, Options, FloatArray], FloatArray] | None = None
    refuse: Callable[[Rows, Options], Refusal | None] | None = None
    prepare: Callable[[Rows, Options], Rows | Refusal] | None = None
    profile: tuple[str, tuple[object, ...]] | None = None
    keeps_non_finite: bool = False
    flat_target_means: bool = False
    review: Callable[[Rows, Mapping[str, float], Params], Review] | None = None
    weigh: Callable[[Rows, Options], FloatArray] | None = None
    allocate: Callable[[Params, FloatArray], Split] | None = None
    apart: tuple[tuple[str, str], ...] = ()
    truth: Mapping[str, float] = field(default_factory=dict)
    design: Callable[[], Columns] | None = None

    def read_options(self, changed: Options) -> dict[str, object]:
        """Return the defaults with the changed options.

        Raises
        ------
        OptionError
            For an unknown name, or a value that the option does not take.
        """
        known = {option.name: option for option in self.options}
        for name, value in changed.items():
            if name not in known:
                shown = ", ".join(sorted(known)) or "none"
                raise OptionError(f"{self.slug} has no option {name!r}; it has {shown}")
            allowed = known[name].find_fault(value)
            if allowed:
                raise OptionError(f"option {name} of {self.slug} is {allowed}, not {value!r}")
        return {**{name: option.default for name, option in known.items()}, **changed}
