"""What tables pay for their margin: the nuclear norm of their logits, the least margin, and how far both are from best.

With L the logits F Gᵀ, each row less its mean, and γ the least margin over the contexts, the cost ratio is
R = |L|_* / (γ V), V the least nuclear norm at margin 1. On complete sets R is 1 or more, whatever the logits are on the
supports (rem-limit-ratio; ours): 1 at the optimum of the margin problem, 1.0975 for linear logits of two concepts.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrep.errors import InputError
from linrep.start import Tables

Logits = Float[Tensor, "*batch contexts tokens"]


def centred_products(tables: Tables) -> Float[Tensor, "replicates contexts tokens"]:
    """F Gᵀ with the mean of each row taken off: what a softmax sees of it; in double precision."""
    embedding, unembedding = (table.double() for table in tables)
    logits: Float[Tensor, "replicates contexts tokens"] = embedding @ unembedding.mT
    return logits - logits.mean(dim=-1, keepdim=True)


def least_margin(logits: Logits, support: Bool[np.ndarray, "contexts tokens"]) -> Float[Tensor, "*batch"]:
    """γ: over all contexts, the least of: a logit of a token that agrees, less one of a token that does not.

    Negative where some token that contradicts its context is above one that agrees.

    Raises:
        InputError: no context that excludes a token.
    """
    telling = ~support.all(axis=1)
    if not telling.any():
        raise InputError(f"none of the {len(support)} contexts excludes a token; a margin needs one that does")
    inside = torch.from_numpy(support[telling])
    shown = logits[..., torch.from_numpy(telling), :]
    lowest = shown.masked_fill(~inside, torch.inf).amin(dim=-1)
    highest = shown.masked_fill(inside, -torch.inf).amax(dim=-1)
    return (lowest - highest).amin(dim=-1)


def nuclear_norms(logits: Logits) -> Float[Tensor, "*batch"]:
    """|L|_*, the sum of the singular values."""
    norms: Float[Tensor, "*batch"] = torch.linalg.svdvals(logits).sum(dim=-1)
    return norms


def cost_ratio(
    norm: Float[np.ndarray, "*batch"], margin: Float[np.ndarray, "*batch"], *, least: float
) -> Float[np.ndarray, "*batch"]:
    """R = |L|_* / (γ V): how many times the least cost of its margin is paid; infinite where that is not positive.

    Args:
        least: V, the value of the margin problem.
    """
    safe = np.where(margin > 0, margin, 1.0)
    return np.asarray(np.where(margin > 0, norm / (safe * least), np.inf))


def shape_distance(logits: Logits, optimum: Float[np.ndarray, "contexts tokens"]) -> Float[Tensor, "*batch"]:
    """|L/|L|_* − L*/|L*|_*| in the Frobenius norm: 0 iff L is a positive multiple of the optimum.

    Args:
        optimum: L*, rows with mean zero.
    """
    goal = torch.from_numpy(optimum / np.linalg.svd(optimum, compute_uv=False).sum())
    shape = logits / nuclear_norms(logits)[..., None, None]
    return (shape - goal).square().sum(dim=(-2, -1)).sqrt()
