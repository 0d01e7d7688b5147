"""Theorem 12 of the paper: two vectors trained on L(u, v) = exp(−u·v) turn into one direction.

One step of gradient descent is u ← u + a v, v ← v + a u with a = ηL. In p = u + v and q = u − v it is p ← (1 + a) p,
q ← (1 − a) q: the line of each stays, so that cos(u, v) depends on r = |q|²/|p|² alone, and r ← ((1 − a)/(1 + a))² r.
Arrays hold one vector for each start, (*batch, dim).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from linrep.errors import InputError
from linrep.theory.margin import place

LARGEST_LOG_LOSS = 300.0
"""A start whose ln L passes this has blown up: two steps further its products would leave double precision."""


@dataclass(frozen=True, eq=False)
class PairPath:
    """Starts along a run; moment t is after t steps, moment 0 the start. One that has blown up stays where it is.

    Attributes:
        log_loss: ln L = −u·v.
        cosine: cos(u, v).
        rate: a = ηL of the step to come; zero for a start that has blown up.
        length: the shorter of |u| and |v|.
        finite: whether ln L never passed `LARGEST_LOG_LOSS`.
    """

    log_loss: Float[np.ndarray, "moments ..."]
    cosine: Float[np.ndarray, "moments ..."]
    rate: Float[np.ndarray, "moments ..."]
    length: Float[np.ndarray, "moments ..."]
    finite: Bool[np.ndarray, "*batch"]


def descend_pair(
    u: Float[np.ndarray, "*batch dim"],
    v: Float[np.ndarray, "*batch dim"],
    *,
    step: Float[np.ndarray, "*batch"],
    steps: int,
) -> PairPath:
    """Gradient descent on exp(−u·v) in both vectors at once, step by step (Theorem 12).

    Args:
        step: η of each start.

    Raises:
        InputError: a step that is not positive, steps below 1, or a u or v that is zero, now or on the way.
    """
    if not (np.isfinite(step) & (step > 0)).all():
        raise InputError(f"the smallest step is {np.min(step)}; steps must be positive numbers")
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be 1 or more")
    moments = []
    for taken in range(steps + 1):
        moment = _moment(u, v, step, taken)
        moments.append(moment)
        rate = moment[2][..., None]
        u, v = u + rate * v, v + rate * u
    log_loss, cosine, rates, length = (np.stack(part) for part in zip(*moments, strict=True))
    return PairPath(log_loss, cosine, rates, length, np.asarray((log_loss <= LARGEST_LOG_LOSS).all(axis=0)))


def start_ratio(
    u: Float[np.ndarray, "*batch dim"], v: Float[np.ndarray, "*batch dim"]
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    """r = |u − v|²/|u + v|², and the squared sine between u − v and u + v (0 where u = v).

    Raises:
        InputError: u + v is zero, which Theorem 12 excludes.
    """
    p, q = u + v, u - v
    size, other = np.linalg.norm(p, axis=-1), np.linalg.norm(q, axis=-1)
    if (size == 0).any():
        raise InputError(f"u + v of start {place(size == 0)} is zero: both vectors then shrink to zero (Theorem 12)")
    across = p / size[..., None]
    along = np.divide(q, other[..., None], where=other[..., None] > 0, out=np.zeros_like(q))
    apart = along - (along * across).sum(axis=-1, keepdims=True) * across  # a difference, so that a small sine is exact
    return np.asarray((other / size) ** 2), np.asarray((apart**2).sum(axis=-1))


def ratio_path(
    ratio: Float[np.ndarray, "*batch"], rate: Float[np.ndarray, "moments ..."]
) -> Float[np.ndarray, "moments ..."]:
    """r at every moment, from r at the start and the rates a: r is multiplied by ((1 − a)/(1 + a))² in each step."""
    shrink = ((1 - rate[:-1]) / (1 + rate[:-1])) ** 2
    return np.asarray(ratio * np.concatenate([np.ones((1, *ratio.shape)), np.cumprod(shrink, axis=0)]))


def cosine_of_ratio(
    ratio: Float[np.ndarray, "*shape"], squared_sine: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """cos(u, v) = (1 − r)/sqrt((1 − r)² + 4 r sin²), sin² between p and q: it falls as r grows.

    Raises:
        InputError: r = 1 and sin = 0, where u or v is zero.
    """
    bottom = np.sqrt((1 - ratio) ** 2 + 4 * ratio * squared_sine)
    if (bottom == 0).any():
        raise InputError(f"start {place(bottom == 0)} has r = 1 and sin = 0: u or v is zero, its cosine undefined")
    return np.asarray((1 - ratio) / bottom)


def largest_step(u: Float[np.ndarray, "*batch dim"], v: Float[np.ndarray, "*batch dim"]) -> Float[np.ndarray, "*batch"]:
    """The largest step at which the loss never rises: (|u|² + |v|²)/|u·v| over L if u·v < 0, infinite otherwise.

    It is 2/L or more, and sharp: above it the very first step raises the loss.

    Raises:
        InputError: u + v is zero.
    """
    start_ratio(u, v)
    product = np.asarray((u * v).sum(axis=-1))
    squares = (u**2).sum(axis=-1) + (v**2).sum(axis=-1)
    bound = np.divide(squares, -product, where=product < 0, out=np.full_like(product, np.inf))
    return np.asarray(bound * np.exp(product))


def rate_constant(
    u: Float[np.ndarray, "*batch dim"], v: Float[np.ndarray, "*batch dim"]
) -> Float[np.ndarray, "*batch"]:
    """K with 1 − cos(u, v) ~ K/(ln L)²: |p|²|q|² sin²/8. Gradient flow conserves K; a step multiplies it by (1 − a²)².

    Raises:
        InputError: u + v is zero.
    """
    ratio, squared_sine = start_ratio(u, v)
    return np.asarray(ratio * ((u + v) ** 2).sum(axis=-1) ** 2 * squared_sine / 8)


def _moment(
    u: Float[np.ndarray, "*batch dim"],
    v: Float[np.ndarray, "*batch dim"],
    step: Float[np.ndarray, "*batch"],
    taken: int,
) -> tuple[Float[np.ndarray, "*batch"], ...]:
    """ln L, cosine, rate and the shorter length at one moment."""
    log_loss = np.asarray(-(u * v).sum(axis=-1))
    lengths = [np.linalg.norm(w, axis=-1) for w in (u, v)]
    shorter = np.asarray(np.minimum(*lengths))
    if (shorter == 0).any():
        raise InputError(f"u or v of start {place(shorter == 0)} is zero at step {taken}: its cosine is undefined")
    cosine = np.asarray(-log_loss / lengths[0] / lengths[1])
    blown = log_loss > LARGEST_LOG_LOSS
    rate = np.asarray(np.where(blown, 0.0, step * np.exp(np.where(blown, 0.0, log_loss))))
    return log_loss, cosine, rate, shorter
