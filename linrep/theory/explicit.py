"""Explicit models: solutions written down, not trained, whose fit and log-odds are known exactly.

Write n(c, d) for the number of known entries of d that c contradicts, T > 0 for the sharpness, and c∘d for c with the
known entries of d put in place of its own. Three tables of logits fit every world with p(c) > 0 as well as one likes:

    penalised   ln p(c) − T n(c, d)             log-odds of i: λ_i(c), whether or not c agrees with d
    completed   ln p(c∘d) − T n(c, d)           log-odds of i: λ_i(c∘d), the hypothesis of Theorem 10 for every c
    free        ln p(c) − T w(d, c) n(c, d)     log-odds of i: λ_i(c) where c agrees with d, anything elsewhere (w ≥ 1)

They differ only where c contradicts d, which the loss does not see in the limit.
"""

import numpy as np
from jaxtyping import Float, Int

from linrep.concepts import all_tokens
from linrep.contexts import UNKNOWN
from linrep.errors import InputError
from linrep.theory.log_odds import require_positive
from linrep.theory.spans import span_basis

Pair = tuple[Float[np.ndarray, "contexts dim"], Float[np.ndarray, "tokens dim"]]
Widened = tuple[Float[np.ndarray, "contexts wider"], Float[np.ndarray, "tokens wider"]]


def mismatches(
    contexts: Int[np.ndarray, "contexts concepts"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Int[np.ndarray, "contexts tokens"]:
    """n(c, d): how many known entries of each context each token contradicts."""
    known = contexts[:, None, :] != UNKNOWN
    return np.asarray((known & (contexts[:, None, :] != tokens[None])).sum(axis=-1))


def penalised_logits(
    joint: Float[np.ndarray, " tokens"], contexts: Int[np.ndarray, "contexts concepts"], *, sharpness: float
) -> Float[np.ndarray, "contexts tokens"]:
    """ln p(c) − T n(c, d), of rank at most m + 1 (prop-explicit).

    Raises:
        InputError: a p(c) that is not positive or not one for each of 2^m tokens, or a sharpness that is not positive.
    """
    tokens = _checked(joint, contexts, sharpness)
    return np.asarray(np.log(joint) - sharpness * mismatches(contexts, tokens))


def completed_logits(
    joint: Float[np.ndarray, " tokens"], contexts: Int[np.ndarray, "contexts concepts"], *, sharpness: float
) -> Float[np.ndarray, "contexts tokens"]:
    """ln p(c∘d) − T n(c, d): satisfies the hypothesis of Theorem 10 exactly, and so does its fit grow perfect.

    Raises:
        InputError: as `penalised_logits`.
    """
    tokens = _checked(joint, contexts, sharpness)
    filled = np.where(contexts[:, None, :] == UNKNOWN, tokens[None], contexts[:, None, :])
    place = filled.astype(np.int64) @ (1 << np.arange(contexts.shape[1])[::-1])
    return np.asarray(np.log(joint)[place] - sharpness * mismatches(contexts, tokens))


def free_logits(
    joint: Float[np.ndarray, " tokens"], contexts: Int[np.ndarray, "contexts concepts"], *, sharpness: float, seed: int
) -> Float[np.ndarray, "contexts tokens"]:
    """ln p(c) − T w(d, c) n(c, d) with w uniform on 1 to 2: exact where c agrees with d, arbitrary elsewhere.

    Raises:
        InputError: as `penalised_logits`.
    """
    tokens = _checked(joint, contexts, sharpness)
    weights = 1 + np.random.default_rng(seed).random((len(contexts), len(tokens)))
    return np.asarray(np.log(joint) - sharpness * weights * mismatches(contexts, tokens))


def explicit_tables(
    joint: Float[np.ndarray, " tokens"],
    contexts: Int[np.ndarray, "contexts concepts"],
    *,
    sharpness: float,
    scale: float | None = None,
) -> Pair:
    """F and G of the penalised logits in m + 1 dimensions, up to a constant of each context (prop-explicit).

    f(d) = (1, φ(d)) with φ_i(d) = ±T/(2b) where d knows concept i and 0 where not; g(c) = (ln p(c), b χ(c)) with
    χ_i(c) = 2c_i − 1.

    Args:
        scale: b; None for sqrt(T/2), which gives φ and b χ entries of one size. No prediction depends on it.

    Raises:
        InputError: as `penalised_logits`, or a scale that is not positive.
    """
    tokens = _checked(joint, contexts, sharpness)
    b = _positive("scale", np.sqrt(sharpness / 2) if scale is None else scale)
    signs = np.where(contexts == UNKNOWN, 0, 2 * contexts.astype(float) - 1)
    embedding = np.column_stack([np.ones(len(contexts)), sharpness / (2 * b) * signs])
    return embedding, np.column_stack([np.log(joint), b * (2.0 * tokens - 1)])


def independent_tables(
    log_odds: Float[np.ndarray, " concepts"], contexts: Int[np.ndarray, "contexts concepts"], *, sharpness: float
) -> Pair:
    """F and G for independent concepts in m dimensions: the log-odds are ℓ_i for every c and every d with d_i = ⋄.

    f_i(d) = ±T/2 where d knows concept i and ℓ_i/2 where not; g_i(c) = 2c_i − 1. These are completed logits.

    Raises:
        InputError: a sharpness that is not positive.
    """
    _positive("sharpness", sharpness)
    half = sharpness / 2 * (2 * contexts.astype(float) - 1)
    embedding = np.where(contexts == UNKNOWN, log_odds / 2, half)
    return np.asarray(embedding), 2.0 * all_tokens(contexts.shape[1]) - 1


def with_unseen_dimensions(tables: Pair, *, dimensions: int, size: float, seed: int) -> Widened:
    """The same model with random coordinates N(0, size²) added to G where every f(d) is zero: no logit changes.

    Raises:
        InputError: a number of dimensions or a size that is not positive.
    """
    embedding, unembedding = tables
    _positive("dimensions", dimensions)
    noise = _positive("size", size) * np.random.default_rng(seed).standard_normal((len(unembedding), dimensions))
    return np.hstack([embedding, np.zeros((len(embedding), dimensions))]), np.hstack([unembedding, noise])


def balanced_tables(logits: Float[np.ndarray, "contexts tokens"]) -> Pair:
    """F and G with F Gᵀ = the logits less their mean over the tokens, and FᵀF = GᵀG, in as few dimensions as possible.

    They are U S^(1/2) and V S^(1/2) of the singular value decomposition U S Vᵀ; the mean is no prediction's matter.

    Raises:
        InputError: logits that do not depend on the token, whose factors would all be zero.
    """
    centred = logits - logits.mean(axis=1, keepdims=True)
    rank = len(span_basis(centred))
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    root = np.sqrt(sizes[:rank])
    return left[:, :rank] * root, right[:rank].T * root


def divergence_bound(concepts: int, sharpness: float) -> float:
    """(1 + e^(−T)/2)^m − 1, nats: no penalised, completed or free logits fit a world worse under fair masks."""
    return float(np.expm1(concepts * np.log1p(np.exp(-sharpness) / 2)))


def _checked(
    joint: Float[np.ndarray, " tokens"], contexts: Int[np.ndarray, "contexts concepts"], sharpness: float
) -> Int[np.ndarray, "tokens concepts"]:
    """All tokens of the world, after refusing a joint or a sharpness that is not allowed."""
    require_positive(joint)
    _positive("sharpness", sharpness)
    tokens = all_tokens(contexts.shape[1])
    if len(joint) != len(tokens):
        raise InputError(f"p(c) has {len(joint)} entries; contexts of {contexts.shape[1]} concepts need {len(tokens)}")
    return tokens


def _positive(name: str, value: float) -> float:
    """The value, refused unless it is a positive number."""
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} is {value}; it must be a positive number")
    return float(value)
