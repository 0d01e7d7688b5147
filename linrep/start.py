"""Where training starts: the tables F and G of each replicate, from the seed's own stream.

The paper does not state its start. It models f and g as linear maps of one-hot codes, which suggests PyTorch's default
for a linear layer; that is our "linear" start. Such a layer has a bias: f(d) = W e_d + b_f and g(c) = V e_c + b_g. Ours
has none unless asked: biases cancel in every steering vector, and b_g in every softmax.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError
from linrep.memory import require_memory
from linrep.seeds import stream

Tables = tuple[Float[Tensor, "replicates contexts dim"], Float[Tensor, "replicates tokens dim"]]


def initial_tables(
    contexts: int,
    tokens: int,
    dim: int,
    *,
    seeds: Sequence[int],
    init_scale: float | None = None,
    biases: bool = False,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> Tables:
    """F and G of every replicate at step 0.

    Args:
        init_scale: S for N(0, S²); None for the linear start, uniform within ±1/sqrt(contexts) for F and
            ±1/sqrt(tokens) for G.
        biases: add b_f to every row of F and b_g to every row of G, each uniform within the bound of its table; what
            they are added to is the start without biases. Linear start only.

    Raises:
        InputError: dim below 1, a scale that is not a positive number, or biases with a scale.
    """
    check_start(dim, init_scale, biases=biases)
    numbers = len(seeds) * ((contexts + tokens) * dim + dim**2)  # F, G, and FᵀF for the imbalance
    require_memory(3 * 8 * numbers, f"tables of {contexts} contexts and {tokens} tokens in {dim} dimensions")
    generators = [stream(seed, "start") for seed in seeds]
    tables = [_draw(generators, rows, dim, init_scale) for rows in (contexts, tokens)]
    if biases:
        for table in tables:  # drawn after both tables, so that these do not depend on it
            table += _uniform(generators, 1, dim, bound=1 / math.sqrt(table.shape[1]))
    embedding, unembedding = (torch.from_numpy(table).to(device=device, dtype=dtype) for table in tables)
    return embedding, unembedding


def check_start(dim: int, init_scale: float | None, *, biases: bool) -> None:
    """Refuse a space or a scale that is no start.

    Raises:
        InputError: names the value and what is allowed.
    """
    if dim < 1:
        raise InputError(f"dim is {dim}; it must be 1 or more")
    if init_scale is not None and not (math.isfinite(init_scale) and init_scale > 0):
        raise InputError(f"init-scale is {init_scale}; it must be a positive number")
    if biases and init_scale is not None:
        raise InputError(f"init-scale is {init_scale} with biases; biases are allowed with the linear start only")


def _draw(
    generators: Sequence[np.random.Generator], rows: int, dim: int, init_scale: float | None
) -> Float[np.ndarray, "replicates rows dim"]:
    """One table for each generator; float64 always, so that the start does not depend on dtype or device."""
    if init_scale is None:
        return _uniform(generators, rows, dim, bound=1 / math.sqrt(rows))
    with np.errstate(over="ignore"):  # what overflows here is reported as divergence at step 0
        return np.stack([init_scale * rng.standard_normal((rows, dim)) for rng in generators])


def _uniform(
    generators: Sequence[np.random.Generator], rows: int, dim: int, *, bound: float
) -> Float[np.ndarray, "replicates rows dim"]:
    """Rows uniform within ±bound, for each generator."""
    return np.stack([rng.uniform(-bound, bound, size=(rows, dim)) for rng in generators])
