"""Sharpness: the largest eigenvalue of the Hessian of the exact loss, over all entries of F and G together.

Gradient descent of step η cannot settle where sharpness is above 2/η; where the two meet is the edge of stability
(Cohen et al., 2021).

With C_d = p(d) (diag p̂(. given d) − p̂ p̂ᵀ), the Hessian in the logits of context d, and E the gradient in the logits,
the blocks are Gᵀ C_d G for f(d), Σ_d C_d ⊗ f(d) f(d)ᵀ for G, and (Gᵀ C_d) ⊗ f(d) + E_d ⊗ I between f(d) and G.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError
from linrep.loss import PopulationLoss
from linrep.start import Tables

MOST = 2000
"""The most entries of F and G for which the whole Hessian is made."""


def sharpness(loss: PopulationLoss, tables: Tables) -> Float[Tensor, " replicates"]:
    """The largest eigenvalue of the Hessian in F and G, nats per squared length, of each replicate.

    Raises:
        InputError: F and G have more than `MOST` entries.
    """
    largest: Float[Tensor, " replicates"] = torch.linalg.eigvalsh(hessian(loss, tables))[:, -1]
    return largest


def hessian(loss: PopulationLoss, tables: Tables) -> Float[Tensor, "replicates entries entries"]:
    """The Hessian in F and G, the entries of F row by row before those of G.

    Raises:
        InputError: F and G have more than `MOST` entries.
    """
    f, g = tables
    replicates, contexts, dim = f.shape
    of_f, of_g = contexts * dim, g.shape[1] * dim
    if of_f + of_g > MOST:
        raise InputError(f"F and G have {of_f + of_g:,} entries; sharpness takes at most {MOST:,}")
    predicted = (f @ g.mT).softmax(dim=-1)
    weights = loss.weights[..., None, None]
    curvature = weights * (torch.diag_embed(predicted) - predicted[..., None] * predicted[..., None, :])
    error = loss.weights[..., None] * predicted - loss.pair
    each, pairs = torch.eye(contexts, dtype=f.dtype), torch.eye(dim, dtype=f.dtype)
    pulled = torch.einsum("rxi,rdxy->rdiy", g, curvature)
    at_f = torch.einsum("rdij,de->rdiej", pulled @ g[:, None], each).reshape(replicates, of_f, of_f)
    at_g = torch.einsum("rdxy,rdi,rdj->rxiyj", curvature, f, f).reshape(replicates, of_g, of_g)
    mixed = torch.einsum("rdiy,rdj->rdiyj", pulled, f) + torch.einsum("rdy,ij->rdiyj", error, pairs)
    mixed = mixed.reshape(replicates, of_f, of_g)
    return torch.cat([torch.cat([at_f, mixed], dim=2), torch.cat([mixed.mT, at_g], dim=2)], dim=1)
