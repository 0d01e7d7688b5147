"""Whether the margin problem has one optimum only, from a certificate (thm-limit-unique).

A matrix M that attains the lower bound fixes every optimum L: L = M Q with Q = (LᵀL)^(1/2) = G Gᵀ, and Q lives on
the directions that M does not shorten. What is left of the constraints is linear in Q: equal logits on the support, and
margin exactly 1 wherever M < 0. If these equations have one solution, the optimum is unique, and so is G Gᵀ.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from linrep.errors import InputError

ZERO = 1e-4
"""A singular value of M above 1 less this is 1, and an entry below −this times the largest one is negative."""


@dataclass(frozen=True)
class Uniqueness:
    """The linear equations for Q.

    Attributes:
        kept: the dimension of the directions that M does not shorten: the rank of L is at most this.
        next: the largest singular value of M below 1, 0 if there is none.
        unknowns: kept (kept + 1)/2, the entries of Q.
        least: the least eigenvalue of the equations' normal matrix; above zero iff Q is unique.
        weakest: the entry of M nearest to zero among those counted as negative, over the largest one.
    """

    kept: int
    next: float
    unknowns: int
    least: float
    weakest: float


def uniqueness(
    witness: Float[np.ndarray, "contexts tokens"],
    support: Bool[np.ndarray, "contexts tokens"],
    *,
    margins: bool = True,
) -> Uniqueness:
    """The equations for Q = G Gᵀ that a certificate leaves.

    Args:
        witness: M, of spectral norm 1, that attains the bound. support: the tokens that agree with each context.
        margins: False leaves out the equations of the margins; cQ then solves what is left, for every c.

    Raises:
        InputError: M is nowhere negative off the support: its bound is zero.
    """
    _, sizes, right = np.linalg.svd(witness, full_matrices=False)
    top = sizes > 1 - ZERO
    basis = right[top].T  # (tokens, kept)
    forces = np.where(support, 0, -witness)
    if forces.max() <= 0:
        raise InputError("the witness is nowhere negative off the support; a certificate needs an entry that is")
    strong = forces > ZERO * forces.max()
    rows, columns = np.triu_indices(basis.shape[1])
    weight = np.where(rows == columns, 0.5, 0.5**0.5)  # coordinates of Q in an orthonormal basis
    normal = np.zeros((len(rows),) * 2)
    for image, tied in zip(witness @ basis, support | strong if margins else support, strict=True):
        apart = basis[tied] - basis[tied].mean(axis=0)
        terms = weight * (image[rows] * apart[:, columns] + image[columns] * apart[:, rows])
        normal += terms.T @ terms
    rest = sizes[~top]
    return Uniqueness(
        kept=basis.shape[1],
        next=float(rest.max(initial=0)),
        unknowns=len(rows),
        least=float(np.linalg.eigvalsh(normal)[0]),
        weakest=float(forces[strong].min() / forces.max()),
    )
