"""How the masks that hide entries of a token are drawn: the paper says at random, and states no law.

A mask has 1 where the entry stays known, 0 where it is hidden.
"""

import math
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from linrep.errors import InputError

MaskLaw = Literal["fair", "often", "rarely", "size"]
"""Each entry is hidden with probability 1/2 ("fair", our default), 3/4 ("often") or 1/4 ("rarely"), independently; or
first how many are hidden, uniform on 0 to m, then which, uniformly ("size"). With a number of masks, the law draws
these, without replacement, and training then draws each of them as often."""

_HIDDEN: dict[MaskLaw, float] = {"fair": 0.5, "often": 0.75, "rarely": 0.25}


def mask_probability(masks: Int[np.ndarray, "masks concepts"], law: MaskLaw) -> Float[np.ndarray, " masks"]:
    """The probability of each mask under a law; over all 2^m masks they sum to 1.

    Raises:
        InputError: a law of another name.
    """
    check_mask_law(law)
    m = masks.shape[1]
    if law == "size":
        of_hidden = [1 / ((m + 1) * math.comb(m, hidden)) for hidden in range(m + 1)]
    else:
        of_hidden = [_HIDDEN[law] ** hidden * (1 - _HIDDEN[law]) ** (m - hidden) for hidden in range(m + 1)]
    return np.asarray(np.array(of_hidden)[(masks == 0).sum(axis=1)])


def check_mask_probability(p: Float[np.ndarray, "*shape"], masks: int) -> None:
    """Refuse what is no distribution over a number of masks, each of which can be drawn.

    Raises:
        InputError: a wrong shape, a probability that is not positive, or a sum other than 1.
    """
    if p.shape != (masks,):
        raise InputError(f"mask probabilities of shape {p.shape} given; {masks} masks need as many")
    if not (p > 0).all():  # also where one is not a number
        raise InputError(f"a mask has probability {p[~(p > 0)][0]:g}; it must be positive")
    if not abs(p.sum() - 1) < 1e-9:
        raise InputError(f"the mask probabilities sum to {p.sum():.10g}; they must sum to 1")


def check_mask_law(law: str) -> None:
    """Refuse an unknown law.

    Raises:
        InputError: names the law and what is allowed.
    """
    if law not in get_args(MaskLaw):
        raise InputError(f"mask-law is {law!r}; allowed are {', '.join(get_args(MaskLaw))}")
