"""cvxpy, which the convex programs of the limit need, imported where it is used (the extra `limit`)."""

from types import ModuleType

from linrep.errors import InputError, LinrepError


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


def require_solved(status: str, what: str) -> None:
    """Refuse a program that the solver did not solve.

    Raises:
        LinrepError: a status other than "optimal".
    """
    if status != "optimal":
        raise LinrepError(f"{what}: the solver says {status!r}; a solution needs 'optimal'")
