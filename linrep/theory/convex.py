"""cvxpy, which the convex programs of the limit need, imported where it is used (the extra `limit`)."""

import warnings
from types import ModuleType
from typing import Any

from linrep.errors import InputError, LinrepError

GAP = 1e-5
"""The largest gap between value and bound of a margin problem that counts as solved, as a part of the value."""


def require_cvxpy() -> ModuleType:
    """The module cvxpy.

    Raises:
        InputError: it is not installed.
    """
    try:
        import cvxpy
    except ImportError:
        raise InputError("the margin problem needs cvxpy, which is not installed: pip install cvxpy") from None
    module: ModuleType = cvxpy
    return module


def run_program(problem: Any, what: str, **options: Any) -> None:
    """Solve a program of cvxpy; what comes out is judged by a certificate of ours, not by the solver's own word.

    So a solver that just misses its tolerance may pass, and its warning of that is not shown.

    Args:
        what: the program's name, for errors. options: passed to the solver.

    Raises:
        LinrepError: the solver gives no solution.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
        problem.solve(**options)
    if problem.status not in ("optimal", "optimal_inaccurate"):
        raise LinrepError(f"{what}: the solver says {problem.status!r}; a solution needs 'optimal'")


def require_small(error: float, what: str, *, allowed: float) -> None:
    """Refuse a solution whose certificate leaves too much open.

    Args:
        error: what the certificate leaves, as a part of the value.

    Raises:
        LinrepError: it is more than allowed, or not a number.
    """
    if not error <= allowed:
        raise LinrepError(f"{what}: {error:.3g} of the value is left open; at most {allowed:g} is allowed")
