"""FLOPs per token as a function of size, and the optimum of a parametric law under it.

With C = 6 N D the optimum has a closed form (`fitting.maths.allocation`). Where FLOPs are logged
with head, embedding or attention, C / D is not 6 N; the optimum then follows from the measured
relation itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.allocation import FLOPS_PER_PARAMETER_TOKEN, allocate_lines, split_budget
from fitting.maths.budgets import SAME_SIZE, group_near
from fitting.maths.records import FloatArray, Record
from fitting.maths.rows import Params
from fitting.maths.types import Split

SIX_N = 0.01  # relative; closer than this, the convention is C = 6 N D
SLOPES = (0.5, 1.5)  # of log(C / D) against log N beyond the data: a linear layer costs 6 N
BELOW, ABOVE = 30.0, 3000.0  # sizes searched, as factors beyond the data
N_HALVINGS = 48  # to 1e-13 of log N


@dataclass(frozen=True)
class FlopsPerToken(Record):
    """What a token costs at each size: monotone and smooth in log-log, straight beyond the sizes.

    Parameters
    ----------
    n_params : ndarray, shape (k,), sizes, ascending
    flops : ndarray, shape (k,), FLOPs per token at each size
    is_six_n : the values are 6 N within a percent

    References
    ----------
    Fritsch and Butland 1984, SIAM J. Sci. Stat. Comput. 5, 300 (monotone cubic interpolation)
    """

    n_params: FloatArray
    flops: FloatArray
    is_six_n: bool

    def evaluate(self, n_params: FloatArray) -> FloatArray:
        """Return the FLOPs per token at sizes of any shape."""
        if self.is_six_n:
            return FLOPS_PER_PARAMETER_TOKEN * n_params
        cost: FloatArray = np.exp(self._measure(np.log(n_params))[0])
        return cost

    def split(self, params: Params, flops: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return N* and D* of ``L = E + A N^-alpha + B D^-beta`` at budgets.

        Parameters
        ----------
        params : name -> ndarray, shape (B,); A, B, alpha, beta
        flops : ndarray, shape (m,), budgets

        Returns
        -------
        n_params, n_tokens : ndarrays, shape (B, m); NaN where the optimum leaves the searched
            range of sizes, a factor 30 below the smallest to a factor 3,000 above the largest
        """
        wide = {name: values[:, None] for name, values in params.items()}
        if self.is_six_n:
            return split_budget(wide, flops[None, :])
        n_params = np.exp(self._solve(wide, np.log(flops)[None, :]))
        return n_params, flops[None, :] / self.evaluate(n_params)

    def allocate(self, params: Params, flops: FloatArray) -> Split:
        """Return N*, D* and the loss of any approach at budgets under this cost.

        Parameters
        ----------
        params : name -> ndarray, shape (B,); (E, A, B, alpha, beta), or the lines (a,
            log_n_factor, ...) of an approach that fits N*(C)
        flops : ndarray, shape (m,), budgets

        Returns
        -------
        n_params, n_tokens, loss : ndarrays, shape (B, m); loss is None where the law has none

        References
        ----------
        Hoffmann et al. 2022, arXiv 2203.15556, section 3
        """
        wide = {name: values[:, None] for name, values in params.items()}
        with np.errstate(all="ignore"):  # a replica may lose a term; its NaN stays out of bands
            if "alpha" in params and "A" in params:
                n_params, n_tokens = self.split(params, flops)
                size = wide["A"] * n_params ** -wide["alpha"]
                loss = wide["E"] + size + wide["B"] * n_tokens ** -wide["beta"]
                return n_params, n_tokens, loss
            n_params, _, line = allocate_lines(wide, flops[None, :])
            return n_params, flops / self.evaluate(n_params), line

    def _solve(self, params: Params, log_c: FloatArray) -> FloatArray:
        """Return log N* by bisection of d loss / d log N, which rises with N."""
        size = np.log(params["alpha"] * params["A"])
        data = np.log(params["beta"] * params["B"]) - params["beta"] * log_c
        first, last = self.n_params[0] / BELOW, self.n_params[-1] * ABOVE
        low = np.broadcast_to(np.log(first), data.shape).copy()
        high = np.broadcast_to(np.log(last), data.shape).copy()
        for _ in range(N_HALVINGS):
            middle = 0.5 * (low + high)
            cost, slope = self._measure(middle)
            is_below = size - params["alpha"] * middle > data + params["beta"] * cost + slope
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
        inside = (low > np.log(first)) & (high < np.log(last))
        found: FloatArray = np.where(inside, 0.5 * (low + high), np.nan)
        return found

    def _measure(self, log_n: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log C / D, and the log of its slope against log N."""
        x, y = np.log(self.n_params), np.log(self.flops)
        if x.size < 2:
            return y[0] + (log_n - x[0]), np.zeros_like(log_n)
        from scipy.interpolate import PchipInterpolator

        line = PchipInterpolator(x, y)
        inside = np.clip(log_n, x[0], x[-1])
        slope = np.clip(line(inside, 1), *SLOPES)
        return line(inside) + slope * (log_n - inside), np.log(slope)


def measure_flops_per_token(
    n_params: FloatArray, n_tokens: FloatArray, flops: FloatArray
) -> FlopsPerToken:
    """Read the cost of a token off runs.

    Parameters
    ----------
    n_params, n_tokens, flops : ndarray, shape (n,), positive

    Returns
    -------
    the geometric mean of C / D at each size
    """
    cost = flops / n_tokens
    place = group_near(n_params, SAME_SIZE)
    count = np.bincount(place)
    sizes = np.exp(np.bincount(place, weights=np.log(n_params)) / count)
    mean = np.exp(np.bincount(place, weights=np.log(cost)) / count)
    off = np.abs(mean / (FLOPS_PER_PARAMETER_TOKEN * sizes) - 1.0)
    return FlopsPerToken(sizes, mean, bool(np.all(off <= SIX_N)))
