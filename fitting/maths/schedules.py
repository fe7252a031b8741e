"""Learning-rate schedules as the schedule laws see them: one rate per step from step 0.

One rate per step, counted from 0, as in Tissue et al. 2024, arXiv 2408.11029.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.types import FloatArray, LawOption, Options, Params, Refusal, Review, Rows

LATE = 1.5  # usual distances between logged steps, from which on a curve begins late

WARMUP = LawOption(
    "warmup",
    None,
    "warm-up steps of schedules rebuilt from logged rows; None = those before the first row, "
    "where rows begin late",
    least=0,
)


def make_warmup(peak: float, steps: int) -> FloatArray:
    """Return a linear warm-up from 0 to the peak at its last step.

    Parameters
    ----------
    peak : learning rate
    steps : of the warm-up

    Returns
    -------
    ndarray, shape (steps,), learning rate of every step
    """
    return np.linspace(0.0, peak, steps)


def make_constant(peak: float, total: int, warmup: int) -> FloatArray:
    """Return warm-up and then a constant rate.

    Parameters
    ----------
    peak : learning rate
    total, warmup : steps

    Returns
    -------
    ndarray, shape (total,), learning rate of every step
    """
    return np.concatenate([make_warmup(peak, warmup), np.full(total - warmup, peak)])


def make_cosine(peak: float, end: float, total: int, warmup: int) -> FloatArray:
    """Return warm-up and then half a cosine from the peak to the end rate.

    The cosine runs over the steps after the warm-up and reaches `end` at step `total`.

    Parameters
    ----------
    peak, end : learning rates
    total, warmup : steps

    Returns
    -------
    ndarray, shape (total,), learning rate of every step

    References
    ----------
    Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5
    """
    progress = np.arange(total - warmup) / (total - warmup)
    cosine = end + 0.5 * (peak - end) * (1.0 + np.cos(np.pi * progress))
    return np.concatenate([make_warmup(peak, warmup), cosine])


def make_two_stage(peak: float, later: float, switch: int, total: int, warmup: int) -> FloatArray:
    """Return warm-up, the peak to step switch - 1, then a lower constant rate.

    Parameters
    ----------
    peak, later : learning rates
    switch : first step of the later rate
    total, warmup : steps

    Returns
    -------
    ndarray, shape (total,), learning rate of every step
    """
    rates = make_constant(peak, total, warmup)
    rates[switch:] = later
    return rates


def read_warmup(options: Options) -> int | None:
    """Return the option of the schedule laws.

    Parameters
    ----------
    options : all options of the law

    Returns
    -------
    steps of the warm-up; None = see `rebuild_schedule`
    """
    return None if options["warmup"] is None else int(float(str(options["warmup"])))


def find_hidden_start(steps: FloatArray) -> int:
    """Return how many steps come before the first logged one, where logging begins late.

    Parameters
    ----------
    steps : ndarray, shape (n,), logged steps in any order

    Returns
    -------
    the first step where it is later than 1.5 times the usual distance between two, else 0
    """
    logged = np.unique(steps)
    usual = float(np.median(np.diff(logged))) if logged.size > 1 else np.inf
    return int(logged[0]) if logged[0] > LATE * usual else 0


def rebuild_schedule(steps: FloatArray, lr: FloatArray, warmup: int | None) -> FloatArray:
    """Return the rate of every step from the logged ones: linear between them.

    The first steps are a linear warm-up; the rates between its end and the first logged step are
    that of the first logged step.

    Parameters
    ----------
    steps : ndarray, shape (n,), logged steps in any order
    lr : ndarray, shape (n,), learning rates there
    warmup : steps of the warm-up; None = all before the first logged one, where logging begins late

    Returns
    -------
    ndarray, shape (last step + 1,)
    """
    warmup = find_hidden_start(steps) if warmup is None else warmup
    order = np.argsort(steps)
    logged, rates = steps[order], lr[order]
    every = np.arange(int(logged[-1]) + 1, dtype=np.float64)
    schedule = np.interp(every, logged, rates)
    if warmup > 0:
        schedule[:warmup] = make_warmup(float(schedule[min(warmup, schedule.size - 1)]), warmup)
    return schedule


def read_schedules(rows: Rows, warmup: int | None) -> Mapping[str, FloatArray] | Refusal:
    """Return each curve's schedule: given, or rebuilt from the logged learning rate.

    Parameters
    ----------
    rows : step, groups = curve; schedules, or the column lr
    warmup : as `rebuild_schedule` takes it, for rebuilt schedules

    Returns
    -------
    curve -> learning rate of every step, or a Refusal
    """
    found = {}
    for name, places in rows.split_groups().items():
        if name in rows.schedules:
            found[name] = rows.schedules[name]
        elif "lr" in rows.columns:
            steps, lr = rows.columns["step"][places], rows.columns["lr"][places]
            found[name] = rebuild_schedule(steps, lr, warmup)
        else:
            return Refusal(
                "missing_input",
                f"curve {name or 'without a name'} has neither a schedule nor a logged lr",
                "log lr at every row, or give the schedule",
            )
    return found


def review_schedules(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Say which rates nobody has logged.

    Parameters
    ----------
    rows : step, groups = curve; schedules, or the column lr
    params, replicas : not looked at

    Returns
    -------
    one warning where curves begin late
    """
    starts = {
        name: find_hidden_start(rows.columns["step"][places])
        for name, places in rows.split_groups().items()
        if name not in rows.schedules
    }
    hidden = {name: start for name, start in starts.items() if start}
    if not hidden:
        return Review()
    first = next(iter(hidden))
    others = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
    return Review(
        (
            f"curve {first or 'without a name'}{others}: no rate before step {hidden[first]}; "
            "those steps are a linear warm-up, unless the option warmup gives its length",
        )
    )


def find_warmup_end(schedule: FloatArray) -> int:
    """Return the first step at which the rate has reached its maximum.

    Parameters
    ----------
    schedule : ndarray, shape (n_steps,), learning rate of every step

    Returns
    -------
    the step
    """
    return int(np.argmax(schedule >= schedule.max() * (1.0 - 1e-12)))


def sum_momentum(schedule: FloatArray, decay: float) -> FloatArray:
    """Return S2 at every step: the sum of ``m_i = decay m_(i-1) + (lr_(i-1) - lr_i)``.

    m stays 0 until the warm-up has ended.

    Parameters
    ----------
    schedule : ndarray, shape (n_steps,), learning rate of every step
    decay : lambda, in (0, 1)

    Returns
    -------
    ndarray, shape (n_steps,), in the unit of the rate times steps

    References
    ----------
    Tissue et al. 2024, arXiv 2408.11029
    """
    from scipy.signal import lfilter

    drop = np.zeros_like(schedule)
    drop[1:] = schedule[:-1] - schedule[1:]
    drop[: find_warmup_end(schedule) + 1] = 0.0
    summed: FloatArray = np.cumsum(lfilter([1.0], [1.0, -decay], drop))
    return summed
