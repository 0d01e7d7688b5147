"""A task: the name of a function and JSON arguments; and how it is done, in this process or in another."""

import importlib
import json
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from linrep.errors import InputError, LinrepError
from linrep.sweep.fingerprint import fingerprint

_REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
_MOST_SHOWN = 400


@dataclass(frozen=True)
class Task:
    """One call whose result is kept on disk.

    Attributes:
        function: "package.module:function". It takes the arguments by keyword and returns what JSON can hold; what it
            does is decided by its arguments and linrep's sources alone.
        arguments: what JSON can hold. The function is given what JSON makes of them: a tuple arrives as a list.
        name: what messages call the task; empty for its function and arguments.

    Raises:
        InputError: a function that is not written like that, or arguments that JSON cannot hold.
    """

    function: str
    arguments: Mapping[str, Any]
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be written down."""
        if not _REFERENCE.fullmatch(self.function):
            raise InputError(f"function is {self.function!r}; it must be written package.module:function")
        try:
            canonical(dict(self.arguments))
        except (TypeError, ValueError) as error:
            raise InputError(f"the arguments of {self.function} cannot be written as JSON: {error}") from None

    @property
    def text(self) -> str:
        """The arguments as canonical JSON."""
        return canonical(dict(self.arguments))

    def __str__(self) -> str:
        """The name or the call, for a message; long arguments are cut."""
        if self.name:
            return self.name
        text = ", ".join(f"{name}={canonical(value)}" for name, value in self.arguments.items())
        return f"{self.function}({text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + '...'})"


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its result as JSON, or the error.

    Attributes:
        text: the result as JSON; None after an error.
        error: names the task and its arguments.
        refused: the error is one of linrep's, about this task; otherwise it is a bug or a machine's failure, which
            other tasks would meet too.
    """

    text: str | None = None
    error: LinrepError | None = None
    refused: bool = True


def as_json(value: Any) -> str:
    """A value as JSON, objects in their own order.

    Raises:
        TypeError: JSON cannot hold it. ValueError: a number that is not finite.
    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def canonical(value: Any) -> str:
    """The one way to write a value as JSON: objects in the order of their names; errors as `as_json`."""
    return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def resolve(function: str) -> Callable[..., Any]:
    """The function of a name.

    Raises:
        InputError: no such module or function.
    """
    module, _, name = function.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"function is {function!r}, which cannot be imported: {error}") from None
    if not callable(found):
        raise InputError(f"function is {function!r}, which is no function")
    return found  # type: ignore[no-any-return]


def perform(task: Task, expected: str) -> Outcome:
    """Do a task, in whatever process this is. Errors are returned, so that they cross processes in one way.

    Args:
        expected: the fingerprint of the sources that the result will be filed under.
    """
    if fingerprint() != expected:
        return Outcome(
            error=InputError(
                f"a worker has other sources of linrep or other numerical packages ({fingerprint()}) than the sweep "
                f"({expected}); both must be the same. If they changed meanwhile, start the sweep again"
            ),
            refused=False,
        )
    try:
        result = resolve(task.function)(**json.loads(task.text))
    except LinrepError as error:
        return Outcome(error=_renamed(error, f"{error} (in {task})"))
    except Exception as error:
        failure = LinrepError(f"{task} failed: {type(error).__name__}: {error}")
        failure.add_note("".join(traceback.format_exception(error)))
        return Outcome(error=failure, refused=False)
    try:
        return Outcome(as_json(result))
    except ValueError:
        return Outcome(error=LinrepError(f"the result of {task} holds a number that is not finite; not written"))
    except TypeError as error:
        failure = LinrepError(f"the result of {task} cannot be written as JSON: {error}")
        return Outcome(error=failure, refused=False)


def _renamed(error: LinrepError, message: str) -> LinrepError:
    """An error of the same class with another message; LinrepError for a class that takes more than a message."""
    try:
        return type(error)(message)
    except TypeError:
        return LinrepError(message)
