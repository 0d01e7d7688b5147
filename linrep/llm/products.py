"""Inner products for the unembedding space, each as the linear map after which it is the plain product."""

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError

PRODUCTS = ("euclidean", "pc1_removed", "causal")

SINGULAR = 1e-10
"""A covariance whose smallest eigenvalue is at most this share of the largest is not inverted."""


def covariance(unembedding: Float[Tensor, "vocabulary dim"], *, rows: int = 2048) -> Float[Tensor, "dim dim"]:
    """Covariance of the rows of W, all equally weighted: float64, on the processor, `rows` rows at a time.

    Raises:
        InputError: a number in W is not finite.
    """
    weights = unembedding.detach()
    shift = weights.mean(dim=0).to(device="cpu", dtype=torch.float64)  # near the mean: the products lose no digits
    total, square = torch.zeros_like(shift), torch.zeros(len(shift), len(shift), dtype=torch.float64)
    for start in range(0, len(weights), rows):
        centred = weights[start : start + rows].to(device="cpu", dtype=torch.float64) - shift
        total += centred.sum(dim=0)
        square.addmm_(centred.T, centred)  # in place: at 4096 dimensions a matrix takes 134 MB
    mean = total / len(unembedding)
    square.div_(len(unembedding)).sub_(torch.outer(mean, mean))
    if not torch.isfinite(square).all():
        raise InputError("the unembedding holds numbers that are not finite; it has no covariance")
    return square


def transforms(unembedding: Float[Tensor, "vocabulary dim"]) -> dict[str, Float[Tensor, "dim dim"]]:
    """For each product the symmetric matrix T with ⟨x, y⟩ = (x T)·(y T), in float64.

    euclidean is the identity. pc1_removed projects out the first principal component of W's rows. causal is
    Cov(W)^(−1/2), which whitens them (Park et al. 2023): an invertible linear map of the space then changes no cosine.

    Raises:
        InputError: the covariance is singular, so that the causal product does not exist.
    """
    count, dim = unembedding.shape
    values, vectors = torch.linalg.eigh(covariance(unembedding))  # ascending
    if count <= dim or values[0] <= SINGULAR * values[-1]:
        raise InputError(
            f"the covariance of {count} unembedding rows in {dim} dimensions is singular; the causal product needs "
            "more rows than dimensions, and rows that vary in every direction"
        )
    first = vectors[:, -1]
    identity = torch.eye(dim, dtype=torch.float64)
    return {
        "euclidean": identity,
        "pc1_removed": identity - torch.outer(first, first),
        "causal": (vectors / values.sqrt()) @ vectors.T,
    }


def state_transform(product: str, to_words: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """The map of hidden states that goes with a product's map of words.

    Under "causal" it is the inverse, so that every logit stays as it is; else the same map serves both sides.
    """
    return torch.linalg.inv(to_words) if product == "causal" else to_words
