"""What training by the logits conserves: FᵀF − GᵀG and Σ_c g(c), and what one step of gradient descent adds.

For a loss of the logits Z = F Gᵀ with gradient E in them, dL/dF = E G and dL/dG = Eᵀ F. Gradient flow conserves the
imbalance FᵀF − GᵀG (Du, Hu and Lee 2018); a step η changes it by η²(GᵀEᵀEG − FᵀEEᵀF). If adding a constant to all
logits of a context leaves the loss as it is, rows of E sum to zero, and Σ_c g(c) is conserved by every step along −EᵀF.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError

Pair = tuple[Float[Tensor, "*batch contexts dim"], Float[Tensor, "*batch tokens dim"]]
"""F and G, or the gradients in them; leading batch axes are replicates."""

Square = Float[Tensor, "*batch dim dim"]
Rows = Float[Tensor, "*batch rows dim"]


def imbalance_matrix(tables: Pair) -> Square:
    """D = FᵀF − GᵀG, symmetric; its Frobenius norm is `geometry.imbalance`."""
    embedding, unembedding = tables
    matrix: Tensor = embedding.mT @ embedding - unembedding.mT @ unembedding
    return matrix


def centred(tables: Pair) -> Pair:
    """The same embeddings, and the unembeddings less their mean: no prediction and no steering vector changes."""
    embedding, unembedding = tables
    return embedding, unembedding - unembedding.mean(dim=-2, keepdim=True)


def step_change(gradients: Pair, step: Float[Tensor, ""] | float) -> Square:
    """What a step along −gradients adds to D: η²(∇_Fᵀ∇_F − ∇_Gᵀ∇_G), with ∇_F = EG and ∇_G = EᵀF (prop-conserved).

    Exact for the gradient of any loss of the logits, a minibatch's as well; for no other direction.

    Raises:
        InputError: a step that is not positive.
    """
    _check_step(float(step))
    of_embedding, of_unembedding = gradients
    change: Tensor = step**2 * (of_embedding.mT @ of_embedding - of_unembedding.mT @ of_unembedding)
    return change


def squared_length(gradients: Pair) -> Float[Tensor, "*batch"]:
    """|∇_F|² + |∇_G|², one number for each replicate."""
    first, second = gradients
    total: Tensor = first.square().sum(dim=(-2, -1)) + second.square().sum(dim=(-2, -1))
    return total


def drift_bound(step: float, fall: Float[Tensor, "*batch"], *, share: float = 0.5) -> Float[Tensor, "*batch"]:
    """The most that D can have moved, whatever the number of steps: η (L_0 − L_T)/share (prop-drift).

    Args:
        fall: L_0 − L_T, nats. share: each step lowered the loss by at least share·η|∇L|².

    Raises:
        InputError: a step or a share that is not positive, or a loss that rose.
    """
    _check_step(step)
    if not (math.isfinite(share) and share > 0):
        raise InputError(f"the share is {share}; it must be a positive number")
    if not (fall >= 0).all():
        raise InputError(f"the loss fell by {float(fall.min()):.3g}; the bound needs a fall of 0 or more")
    return step * fall / share


def token_sum(unembedding: Rows) -> Float[Tensor, "*batch dim"]:
    """Σ_c g(c), conserved where rows of E sum to zero (prop-sum)."""
    total: Tensor = unembedding.sum(dim=-2)
    return total


def spectral_norm(matrix: Square) -> Float[Tensor, "*batch"]:
    """The largest absolute eigenvalue of a symmetric matrix."""
    size: Tensor = torch.linalg.eigvalsh(matrix).abs().amax(dim=-1)
    return size


def _check_step(step: float) -> None:
    """Refuse a step that is none."""
    if not (math.isfinite(step) and step > 0):
        raise InputError(f"the step is {step}; it must be a positive number")
