"""Errors that a user can act on. Each message is one line that names the value and what is allowed."""


class LinrepError(Exception):
    """Anything linrep refuses or cannot do; the command line prints it as one line and ends with status 2."""


class InputError(LinrepError, ValueError):
    """A value from outside that is not allowed. The message names the value and what is allowed."""


class TooLargeError(InputError):
    """What was asked for would not fit in memory. The message gives its size; nothing has been allocated."""


class DivergenceError(LinrepError, ArithmeticError):
    """Training left the finite numbers. The message names the replicate, the step and a smaller step size."""


class StepSizeWarning(UserWarning):
    """The loss rose under gradient descent: the step given is above the monotone range."""


class CacheWarning(UserWarning):
    """A result could not be kept for the next time; it is right all the same."""
