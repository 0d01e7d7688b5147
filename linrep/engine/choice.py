"""Which engine takes the steps: compiled with numba where that is possible, else plain torch."""

from importlib.util import find_spec
from typing import Literal, get_args

from linrep.errors import InputError

Engine = Literal["auto", "numba", "torch"]
"""How steps are computed: compiled ("numba"), in plain torch, or compiled where that is possible ("auto")."""


def compiled(engine: Engine, *, device: str, own_loss: bool = False) -> bool:
    """Whether the compiled engine is to be used.

    Args:
        own_loss: whether a loss other than the cross-entropy of the population is descended.

    Raises:
        InputError: no engine of that name, or "numba" where it cannot be used; names why.
    """
    check_engine(engine)
    reasons = {
        "numba is not installed": find_spec("numba") is None,
        f"the device is {device!r}": device != "cpu",
        "a loss of one's own is descended": own_loss,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if engine == "numba" and reason is not None:
        raise InputError(f"engine is 'numba', but {reason}; allowed here are auto, torch")
    return engine != "torch" and reason is None


def check_engine(engine: str) -> None:
    """Refuse an engine that does not exist.

    Raises:
        InputError: names it and those that do.
    """
    if engine not in get_args(Engine):
        raise InputError(f"engine is {engine!r}; allowed are {', '.join(get_args(Engine))}")
