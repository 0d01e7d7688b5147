"""Tables placed by hand, and tables found by search: what cosines of steering vectors see, and what they do not."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

from linrep import geometry
from linrep.concepts import all_tokens
from linrep.linearity import concept_vectors
from linrep.steering import counterfactual_pairs
from linrep.theory import cones

Table = Float[Tensor, "tokens dim"]


def frustum(concepts: int, taper: float) -> Table:
    """Tokens at the corners of a frustum: a cube of edge 2 over the first m − 1 concepts, height 1 over the last one,
    whose top is smaller by the factor 1 − taper. All concepts but the last are linear; their factors depend on it.
    """
    tokens = torch.from_numpy(all_tokens(concepts)).double()
    last = tokens[:, -1:]
    return torch.cat([(2 * tokens[:, :-1] - 1) * (1 - taper * last), last], dim=1)


def planted_tables() -> dict[str, Table]:
    """Unembeddings placed by hand, of which some are linear and no use, and some are nearly linear and look it."""
    tokens = torch.from_numpy(all_tokens(3)).double()
    slanted = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0.6, 0, 0.8]], dtype=torch.float64)
    axis = torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    swapped = torch.tensor([[1.0, 0, 2, 3, 4, 5, 6, 7]], dtype=torch.float64).mT  # 0 and 1 exchanged: 000 and 001
    return {
        "cube": tokens,
        "slanted box": tokens @ slanted,
        "all on one line": (1 + tokens).prod(dim=1, keepdim=True) @ axis,
        "frustum": frustum(3, 0.5),
        "frustum, 7 concepts": frustum(7, 0.2),
        "one dimension": swapped,
    }


def planted_table() -> pd.DataFrame:
    """What the cosines say of each planted table, and what they do not.

    Columns: U, the mean over the concepts; least U, of the worst concept; between; uneven, the longest over the
    shortest steering vector of a concept with U = 1; not affine, `cones.affine_residual`.
    """
    lines: list[dict[str, object]] = []
    for name, table in planted_tables().items():
        tokens = all_tokens(int(np.log2(len(table))))
        vectors = concept_vectors(table, counterfactual_pairs(tokens))
        cosines = torch.stack([geometry.mean_cosine(each) for each in vectors])
        linear = [cones.cone_factors(each) for each, u in zip(vectors, cosines, strict=True) if u > 1 - 1e-12]
        measured = {
            "U": cosines.mean(),
            "least U": cosines.min(),
            "between": geometry.mean_absolute_between(geometry.directions(vectors)),
            "uneven": torch.stack([each.max() / each.min() for each in linear]).max(),
            "not affine": cones.affine_residual(table, tokens),
        }
        lines.append({"table": name} | {key: float(value) for key, value in measured.items()})
    return pd.DataFrame(lines).set_index("table")


def reversed_table(sizes: Sequence[int]) -> pd.DataFrame:
    """U and E of one concept that has one reversed steering vector among parallel ones, for m concepts."""
    columns: dict[str, list[float]] = {"m": [*sizes]}
    for name, base in (("U", 2), ("E", 3)):
        counts = [base ** (m - 1) for m in sizes]
        columns |= {f"vectors of {name}": counts, name: [cones.reversed_cosine(count, 1) for count in counts]}
    return pd.DataFrame(columns).set_index("m")


def search(linear: Sequence[int], *, seed: int, starts: int = 50, steps: int = 150) -> pd.DataFrame:
    """Look for tables of m = k = 3 in which some concepts are linear, with no model and no loss of one.

    From random tables, a quasi-Newton search minimises Σ_i (1 − U_i) over the concepts in `linear`. One row for each
    start: least U, of these concepts; closest, the largest |cosine| between the directions of two concepts; not affine.
    """
    tokens = all_tokens(3)
    shape = (starts, len(tokens), 3)

    def lacking(flat: Float[np.ndarray, " numbers"]) -> tuple[float, Float[np.ndarray, " numbers"]]:
        table = torch.from_numpy(flat.reshape(shape).copy()).requires_grad_()
        total = torch.stack([(1 - u).sum() for u in _cosines(table, tokens, linear)]).sum()
        (gradient,) = torch.autograd.grad(total, table)
        return float(total.detach()), gradient.numpy().ravel()

    first = np.random.default_rng(seed).standard_normal(shape).ravel()
    options = {"maxiter": steps, "maxcor": 20, "ftol": 0, "gtol": 1e-8}
    found = torch.from_numpy(minimize(lacking, first, jac=True, method="L-BFGS-B", options=options).x.reshape(shape))
    vectors = concept_vectors(found, counterfactual_pairs(tokens))
    cosines = geometry.gram(geometry.directions(vectors)).abs() - torch.eye(3)
    return pd.DataFrame(
        {
            "least U": torch.stack(_cosines(found, tokens, linear)).amin(dim=0).numpy(),
            "closest": cosines.amax(dim=(-2, -1)).numpy(),
            "not affine": cones.affine_residual(found, tokens).numpy(),
        }
    )


def _cosines(
    table: Float[Tensor, "starts tokens dim"], tokens: Int[np.ndarray, "tokens concepts"], which: Sequence[int]
) -> list[Float[Tensor, " starts"]]:
    """U of some concepts."""
    vectors = concept_vectors(table, counterfactual_pairs(tokens))
    return [geometry.mean_cosine(vectors[concept]) for concept in which]
