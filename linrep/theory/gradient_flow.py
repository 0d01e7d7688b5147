"""Gradient flow on a loss of F and G, in the logarithm of time: what descent with vanishing steps does, at late clocks.

With t = e^s − 1 the flow is dx/ds = −e^s ∇loss(x). Its logits grow like s, so a solver for stiff equations takes about
as many steps for each decade, where descent, whose step the sharpest direction bounds, takes ten times as many.
Rounding of the logits on the supports, times e^s, is what ends it.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.integrate import solve_ivp

from linrep.errors import InputError, LinrepError
from linrep.loss import Loss
from linrep.start import Tables

TOLERANCE = 1e-7
"""Relative, of each step of the solver, in every entry of F and G; absolute a hundredth of it."""

LATEST = 1e10
"""The last clock at which double precision still resolves the loss: beyond it the solver's steps become tiny."""

Flat = Float[np.ndarray, " entries"]


def flow(loss: Loss, start: Tables, clocks: Sequence[float]) -> list[Tables]:
    """The tables at some clocks, for one replicate.

    Args:
        start: tables of one replicate, double precision. clocks: ascending, positive.

    Raises:
        InputError: more than one replicate, single precision, or clocks that do not ascend from above 0 to `LATEST`.
        LinrepError: the solver fails.
    """
    _check(start, clocks)
    shapes = [table.shape for table in start]
    cut = start[0].numel()

    def gradient(flat: torch.Tensor) -> torch.Tensor:
        _, slopes = loss.value_and_gradient((flat[:cut].reshape(shapes[0]), flat[cut:].reshape(shapes[1])))
        return torch.cat([slope.reshape(-1) for slope in slopes])

    hessian = torch.func.jacfwd(gradient)  # of the loss

    def velocity(log_time: float, flat: Flat) -> Flat:
        return np.asarray(-math.exp(log_time) * gradient(torch.from_numpy(flat)).numpy())

    def slope(log_time: float, flat: Flat) -> Float[np.ndarray, "entries entries"]:
        return np.asarray(-math.exp(log_time) * hessian(torch.from_numpy(flat)).numpy())

    times = [math.log1p(clock) for clock in clocks]
    first = torch.cat([table.reshape(-1) for table in start]).numpy()
    found = solve_ivp(velocity, (0, times[-1]), first, method="LSODA", t_eval=times, jac=slope,
                      rtol=TOLERANCE, atol=TOLERANCE / 100)  # fmt: skip
    if not found.success:
        raise LinrepError(f"the flow's solver stopped before clock {clocks[-1]:g}: {found.message}")
    states = [torch.from_numpy(np.ascontiguousarray(state)) for state in found.y.T]
    return [(state[:cut].reshape(shapes[0]), state[cut:].reshape(shapes[1])) for state in states]


def _check(start: Tables, clocks: Sequence[float]) -> None:
    """Refuse what the flow is not made for."""
    if start[0].shape[0] != 1 or start[0].dtype != torch.float64:
        raise InputError(
            f"start has {start[0].shape[0]} replicates of {start[0].dtype}; allowed is 1, of torch.float64"
        )
    steps = np.diff([0.0, *clocks])
    if not len(clocks) or not (steps > 0).all() or clocks[-1] > LATEST:
        raise InputError(f"clocks are {list(clocks)}; they must ascend from above 0 to at most {LATEST:g}")
