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
from torch import Tensor

from linrep.errors import InputError, LinrepError
from linrep.loss import PopulationLoss
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
        curvature = hessian(loss, tables_of(flat)).numpy()
        return np.asarray(-math.exp(log_time) * (curvature + decay * np.eye(len(flat))))

    times = [math.log1p(clock) for clock in clocks]
    first = torch.cat([table.reshape(-1) for table in start]).numpy()
    found = solve_ivp(velocity, (0, times[-1]), first, method="LSODA", t_eval=times, jac=bend,
                      rtol=TOLERANCE, atol=TOLERANCE / 100)  # fmt: skip
    if not found.success:
        raise LinrepError(f"the flow's solver stopped before clock {clocks[-1]:g}: {found.message}")
    return [tables_of(state) for state in found.y.T]


def hessian(loss: PopulationLoss, tables: Tables) -> Float[Tensor, "entries entries"]:
    """Second derivatives of the loss of one replicate in all entries of F, row by row, and then of G.

    With E the gradient in the logits and S_d = p(d) (diag p̂ − p̂ p̂ᵀ) its derivative in those of context d, the blocks
    are Gᵀ S_d G for each d; Σ_d S_d ⊗ f(d) f(d)ᵀ; and between f(d) and g(c) (Gᵀ S_d)_c f(d)ᵀ + E_dc I.
    """
    embedding, unembedding = (table[0] for table in tables)
    weights = loss.weights[0]
    predicted = (embedding @ unembedding.mT).softmax(dim=-1)
    error = weights[:, None] * predicted - loss.pair[0]
    spread = torch.diag_embed(predicted) - predicted[:, :, None] * predicted[:, None, :]
    spread = weights[:, None, None] * spread  # (contexts, tokens, tokens)
    pulled = torch.einsum("ci,dce->die", unembedding, spread)
    eye = torch.eye(unembedding.shape[1], dtype=unembedding.dtype)
    each = torch.eye(len(embedding), dtype=embedding.dtype)
    contexts = torch.einsum("dij,de->diej", pulled @ unembedding, each)
    tokens = torch.einsum("dce,di,dj->ciej", spread, embedding, embedding)
    across = torch.einsum("dic,dj->dicj", pulled, embedding) + torch.einsum("dc,ij->dicj", error, eye)
    corner = across.reshape(embedding.numel(), -1)
    first, second = contexts.reshape(embedding.numel(), -1), tokens.reshape(unembedding.numel(), -1)
    return torch.cat([torch.cat([first, corner], dim=1), torch.cat([corner.mT, second], dim=1)])


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
