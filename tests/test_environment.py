"""environment.yml, requirements.txt, constraints.txt and pyproject.toml describe one environment."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT, REQUIREMENTS, CONSTRAINTS, PYPROJECT = (
    (ROOT / name).read_text("utf-8")
    for name in ("environment.yml", "requirements.txt", "constraints.txt", "pyproject.toml")
)
PIP_LINES = ["-r requirements.txt", "-e ."]
OPTION_LINES = ["-c constraints.txt"]
PIN = re.compile(r"([A-Za-z0-9._-]+)==([0-9][0-9A-Za-z.]*)")


def pins(text: str, options: list[str]) -> tuple[dict[str, str], list[str]]:
    """The exact versions that a requirements file pins, by normalised name, and what is wrong with it.

    A line is a pin NAME==VERSION, or one of the allowed ``options``: no address of an index, no local version such as
    +cpu, no range, no name twice.
    """
    pinned: dict[str, str] = {}
    wrong = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if not line or line in options:
            continue
        match = PIN.fullmatch(line)
        if match is None:
            wrong.append(f"not an exact pin: {line}")
        elif (name := canonicalize_name(match[1])) in pinned:
            wrong.append(f"pinned twice: {name}")
        else:
            pinned[name] = match[2]
    return pinned, wrong


def conda_problems(environment: str, pyproject: str) -> list[str]:
    """What in environment.yml disagrees with the other files."""
    dependencies = yaml.safe_load(environment)["dependencies"]
    names = [entry for entry in dependencies if isinstance(entry, str)]
    sections = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    wrong = [] if sections == [PIP_LINES] else [f"the pip section must be {PIP_LINES}: {sections}"]
    pythons = [match[1] for entry in names if (match := re.fullmatch(r"python=(\d+\.\d+)", entry))]
    wanted = SpecifierSet(tomllib.loads(pyproject)["project"]["requires-python"])
    if len(pythons) != 1 or f"{pythons[0]}.0" not in wanted:
        wrong.append(f"one Python that satisfies {wanted} is needed: {pythons}")
    if sorted(entry.partition("=")[0] for entry in names) != ["pip", "python"]:
        wrong.append(f"conda brings python and pip, requirements.txt the rest: {names}")
    return wrong


def range_problems(requirements: str, pyproject: str) -> list[str]:
    """The dependencies of pyproject.toml, extras included, whose range the pin in requirements.txt misses."""
    project = tomllib.loads(pyproject)["project"]
    pinned, _ = pins(requirements, OPTION_LINES)
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    stated = [*project["dependencies"], *extras]
    wrong = []
    for requirement in map(Requirement, stated):
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None:
            wrong.append(f"not pinned: {requirement}")
        elif version not in requirement.specifier:
            wrong.append(f"{version} is outside of {requirement}")
    unstated = pinned.keys() - {canonicalize_name(Requirement(line).name) for line in stated}
    return wrong + [f"pinned, but no dependency in pyproject.toml: {name}" for name in sorted(unstated)]


def pin_problems(requirements: str, constraints: str) -> list[str]:
    """What is wrong with the pins of requirements.txt and constraints.txt, each and together."""
    required, wrong = pins(requirements, OPTION_LINES)
    constrained, wrong_too = pins(constraints, [])
    both = sorted(required.keys() & constrained.keys())
    torch = required.get("torch")
    return [
        *wrong,
        *wrong_too,
        *(f"pinned in both files: {name}" for name in both),
        *([] if torch == "2.13.0" else [f"torch must be pinned as 2.13.0: {torch}"]),
    ]


def test_environment_yml_installs_what_make_installs() -> None:
    assert conda_problems(ENVIRONMENT, PYPROJECT) == []


def test_every_dependency_is_pinned_within_its_range() -> None:
    assert range_problems(REQUIREMENTS, PYPROJECT) == []


def test_pins_are_exact_and_unique() -> None:
    assert pin_problems(REQUIREMENTS, CONSTRAINTS) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("python=3.11", "python=3.10", "satisfies"),
        ("python=3.11", "python", "satisfies"),
        ("- -e .", "- -e .[llm]", "pip section"),
        ("- -r requirements.txt\n", "- numpy\n", "pip section"),
        ("  - pip\n", "  - pip\n  - numpy=2.4\n", "conda brings"),
    ],
)
def test_a_broken_environment_yml_is_caught(old: str, new: str, complaint: str) -> None:
    broken = ENVIRONMENT.replace(old, new)
    assert broken != ENVIRONMENT
    assert any(complaint in problem for problem in conda_problems(broken, PYPROJECT))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (r"torch==[\d.]+", "torch==2.13.0+cpu", "not an exact pin: torch==2.13.0+cpu"),
        (r"torch==[\d.]+", "torch==2.14.0", "torch must be pinned as 2.13.0"),
        (r"numpy==", "numpy>=", "not an exact pin: numpy"),
        (r"numpy==", "--index-url https://example.org/simple\nnumpy==", "not an exact pin: --index-url"),
        (r"numpy==", "NumPy==2.4.6\nnumpy==", "pinned twice: numpy"),
        (r"numpy==", "Jinja2==3.1.6\nnumpy==", "pinned in both files: jinja2"),
    ],
)
def test_broken_pins_are_caught(old: str, new: str, complaint: str) -> None:
    broken = re.sub(old, new, REQUIREMENTS, count=1)
    assert any(problem.startswith(complaint) for problem in pin_problems(broken, CONSTRAINTS))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (r"numpy==\S+", "numpy==1.26.4", "1.26.4 is outside of numpy"),
        (r"nbval==\S+", "", "not pinned: nbval"),
        (r"numpy==", "dask==2026.8.0\nnumpy==", "pinned, but no dependency in pyproject.toml: dask"),
    ],
)
def test_a_pin_outside_of_its_range_is_caught(old: str, new: str, complaint: str) -> None:
    broken = re.sub(old, new, REQUIREMENTS, count=1)
    assert any(problem.startswith(complaint) for problem in range_problems(broken, PYPROJECT))
