"""Learning-rate schedules as the schedule laws see them: one rate per step from step 0.

One rate per step, counted from 0, as in Tissue et al. 2024, arXiv 2408.11029.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.types import FloatArray, Refusal, Rows


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


def rebuild_schedule(steps: FloatArray, lr: FloatArray, warmup: int) -> FloatArray:
    """Return the rate of every step from the logged ones: linear between them.

    Steps before the first logged one are a linear warm-up over `warmup` steps to the first rate.

    Parameters
    ----------
    steps : ndarray, shape (n,), logged steps in any order
    lr : ndarray, shape (n,), learning rates there
    warmup : steps of the warm-up

    Returns
    -------
    ndarray, shape (last step + 1,)
    """
    order = np.argsort(steps)
    logged, rates = steps[order], lr[order]
    every = np.arange(int(logged[-1]) + 1, dtype=np.float64)
    schedule = np.interp(every, logged, rates)
    if warmup > 0:
        schedule[:warmup] = make_warmup(float(schedule[min(warmup, schedule.size - 1)]), warmup)
    return schedule


def read_schedules(rows: Rows, warmup: int) -> Mapping[str, FloatArray] | Refusal:
    """Return each curve's schedule: given, or rebuilt from the logged learning rate.

    Parameters
    ----------
    rows : step, groups = curve; schedules, or the column lr
    warmup : steps of the warm-up, for rebuilt schedules

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
