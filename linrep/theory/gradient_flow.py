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
from linrep.loss import PopulationLoss
from linrep.sharpness import hessian
from linrep.start import Tables

TOLERANCE = 1e-7
"""Relative, of each step of the solver, in every entry of F and G; absolute a hundredth of it."""

LATEST = 1e10
"""The last clock at which double precision still resolves the loss: beyond it the solver's steps become tiny."""

Flat = Float[np.ndarray, " entries"]


def flow(loss: PopulationLoss, start: Tables, clocks: Sequence[float], *, decay: float = 0.0) -> list[Tables]:
    """The tables at some clocks, for one replicate.

    Args:
        start: tables of one replicate, double precision. clocks: ascending, positive.
        decay: λ of a penalty λ/2 (|F|² + |G|²) that is descended with the loss.

    Raises:
        InputError: more than one replicate, single precision, clocks that do not ascend from above 0 to `LATEST`, or a
            negative decay.
        LinrepError: the solver fails.
    """
    _check(start, clocks, decay)
    shapes = [table.shape for table in start]
    cut = start[0].numel()

    def tables_of(flat: Flat) -> Tables:
        whole = torch.from_numpy(np.ascontiguousarray(flat))
        return whole[:cut].reshape(shapes[0]), whole[cut:].reshape(shapes[1])

    def velocity(log_time: float, flat: Flat) -> Flat:
        _, slopes = loss.value_and_gradient(tables_of(flat))
        gradient = torch.cat([slope.reshape(-1) for slope in slopes]).numpy()
        return np.asarray(-math.exp(log_time) * (gradient + decay * flat))

    def bend(log_time: float, flat: Flat) -> Float[np.ndarray, "entries entries"]:
        curvature = hessian(loss, tables_of(flat))[0].numpy()
        return np.asarray(-math.exp(log_time) * (curvature + decay * np.eye(len(flat))))

    times = [math.log1p(clock) for clock in clocks]
    first = torch.cat([table.reshape(-1) for table in start]).numpy()
    found = solve_ivp(velocity, (0, times[-1]), first, method="LSODA", t_eval=times, jac=bend,
                      rtol=TOLERANCE, atol=TOLERANCE / 100)  # fmt: skip
    if not found.success:
        raise LinrepError(f"the flow's solver stopped before clock {clocks[-1]:g}: {found.message}")
    return [tables_of(state) for state in found.y.T]


def _check(start: Tables, clocks: Sequence[float], decay: float) -> None:
    """Refuse what the flow is not made for."""
    if start[0].shape[0] != 1 or start[0].dtype != torch.float64:
        raise InputError(
            f"start has {start[0].shape[0]} replicates of {start[0].dtype}; allowed is 1, of torch.float64"
        )
    steps = np.diff([0.0, *clocks])
    if not len(clocks) or not (steps > 0).all() or clocks[-1] > LATEST:
        raise InputError(f"clocks are {list(clocks)}; they must ascend from above 0 to at most {LATEST:g}")
    if not (math.isfinite(decay) and decay >= 0):
        raise InputError(f"decay is {decay}; it must be zero or a positive number")
