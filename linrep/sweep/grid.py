"""A grid of settings: lists of values for fields of `Setting`, and every combination of them."""

import itertools
import json
import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, get_args

from linrep.concepts import ConceptGraph
from linrep.engine.choice import Engine
from linrep.errors import InputError
from linrep.masks import MaskLaw
from linrep.setting import Setting
from linrep.sweep.task import canonical
from linrep.train import Optimizer

MOST_RUNS = 100_000
"""Runs that a sweep may have: each is a file, all in one folder."""

Grid = Mapping[str, Any]
"""Fields of `Setting`, each with a list of values."""


@dataclass(frozen=True)
class Point:
    """One setting of a grid.

    Attributes:
        values: the grid's fields with their values here; dim None as the number of concepts, a graph as its file.
    """

    values: Mapping[str, Any]
    setting: Setting

    def __str__(self) -> str:
        """The values, for a message."""
        return ", ".join(f"{name} {value}" for name, value in self.values.items()) or "the default setting"


def read_grid(path: Path) -> dict[str, Any]:
    """The grid in a file, such as {"concepts": [3, 4], "optimizer": ["gd"]}.

    Raises:
        InputError: a file that is missing, is no JSON object, or names a field twice.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise InputError(f"cannot read the grid {path}: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"the grid {path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"the grid {path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f'the grid {path} is no JSON object; need fields with lists: {{"concepts": [3, 4]}}')
    return content


def points(grid: Grid) -> list[Point]:
    """Every combination of a grid's values, the first field slowest.

    Args:
        grid: fields of `Setting`, with - or _ in their names. A graph is the name of its file; without the field
            concepts, its size is taken.

    Raises:
        InputError: a field that does not exist, no list, a value of the wrong kind, too many combinations, one that is
            no setting (named with its values), or two that are the same setting.
    """
    named = _by_field(grid)
    count = math.prod(len(values) for values in named.values())
    if count > MOST_RUNS:
        raise InputError(f"the grid has {count:,} settings; allowed are {MOST_RUNS:,} runs")
    found, seen = [], dict[str, Point]()
    for combination in itertools.product(*named.values()):
        point = _point(dict(zip(named, combination, strict=True)))
        same = seen.setdefault(canonical(point.setting.to_dict()), point)
        if same is not point:
            raise InputError(f"the grid has one setting twice: {same}; and {point}")
        found.append(point)
    return found


def setting_of(content: Mapping[str, Any]) -> Setting:
    """The setting that `Setting.to_dict` wrote."""
    graph = content["graph"]
    world = None if graph is None else ConceptGraph.from_tables(graph["parents"], graph["tables"])
    return Setting(**{**content, "prob": tuple(content["prob"]), "graph": world})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, refused where it has a name twice."""
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{twice[0]} is there twice")
    return dict(pairs)


def _by_field(grid: Grid) -> dict[str, list[Any]]:
    """The grid with its values read, by the names that `Setting` has for the fields."""
    named: dict[str, list[Any]] = {}
    for name, values in grid.items():
        field = name.replace("-", "_")
        if field not in _READERS:
            raise InputError(f"the grid has {name!r}; allowed are {', '.join(_READERS)}")
        if field in named:
            raise InputError(f"the grid has {field} twice, as {field} and as {field.replace('_', '-')}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise InputError(f"the grid's {name} is {_short(values)}; a list of one or more values is needed")
        named[field] = [_READERS[field](name, value) for value in values]
    return named


def _point(values: dict[str, Any]) -> Point:
    """One combination; an error names it."""
    given = dict(values)
    try:
        if given.get("graph") is not None:
            given["graph"] = ConceptGraph.read(Path(given["graph"]))
            given.setdefault("concepts", given["graph"].concepts)
        setting = Setting(**given)
        _check_subset(setting)
    except InputError as error:
        where = ", ".join(f"{name} {value}" for name, value in values.items())
        raise type(error)(f"{error} (in the grid's setting {where})") from None
    return Point(values | ({"dim": setting.width} if "dim" in values else {}), setting)


def _check_subset(setting: Setting) -> None:
    """Refuse more masks or tokens than the world has."""
    most = 2 ** min(setting.concepts, 200)
    for name, count in (("masks", setting.masks), ("tokens", setting.tokens)):
        if count is not None and not 1 <= count <= most:
            raise InputError(f"{name} is {count}; allowed are 1 to {most}, or all")


def _short(value: Any) -> str:
    """A value for a message, cut where it is long."""
    return reprlib.repr(value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"the grid's {name} has {_short(value)}; a whole number is needed")
    return int(value)


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"the grid's {name} has {_short(value)}; a number is needed")
    return number


def _pair(name: str, value: Any) -> tuple[float, float]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise InputError(f"the grid's {name} has {_short(value)}; a list [LOW, HIGH] is needed")
    return _number(name, value[0]), _number(name, value[1])


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"the grid's {name} has {_short(value)}; true or false is needed")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"the grid's {name} has {_short(value)}; text is needed")
    return value


def _one_of(choices: object) -> Callable[[str, Any], Any]:
    """A reader of the texts of a Literal type."""
    allowed = get_args(choices)

    def read(name: str, value: Any) -> Any:
        if value not in allowed:
            raise InputError(f"the grid's {name} has {_short(value)}; allowed are {', '.join(allowed)}")
        return value

    return read


def _or_none(reader: Callable[[str, Any], Any], word: str | None = None) -> Callable[[str, Any], Any]:
    """A reader that also takes null, or a word for it."""
    return lambda name, value: None if value is None or (word is not None and value == word) else reader(name, value)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "concepts": _whole,
    "dim": _or_none(_whole),
    "edges": _number,
    "prob": _pair,
    "optimizer": _one_of(Optimizer),
    "step_size": _or_none(_number),
    "steps": _or_none(_whole),
    "batch": _whole,
    "init_scale": _or_none(_number),
    "biases": _flag,
    "masks": _or_none(_whole, "all"),
    "tokens": _or_none(_whole, "all"),
    "mask_law": _one_of(MaskLaw),
    "dtype": _one_of(Literal["float32", "float64"]),
    "device": _text,
    "engine": _one_of(Engine),
    "graph": _or_none(_text),
}
