"""codecheck.yml: what a checker would run, which files come out, and which claims they carry; made from the ledger.

The format is CODECHECK's configuration 1.0. The list of claims is ours: its readers ignore keys that they do not know.
"""

from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import yaml

from linrep.claims import Claim, shown
from linrep.experiments.catalogue import EXPERIMENTS, OPTIONAL

SPECIFICATION = "https://codecheck.org.uk/spec/config/1.0/"
PAPER: dict[str, Any] = {
    "title": "On the Origins of Linear Representations in Large Language Models",
    "authors": [
        {"name": name}
        for name in ("Yibo Jiang", "Goutham Rajendran", "Pradeep Ravikumar", "Bryon Aragam", "Victor Veitch")
    ],
    "reference": "https://arxiv.org/abs/2403.03867",
}


def codecheck(claims: Sequence[Claim]) -> str:
    """The text of codecheck.yml.

    Args:
        claims: of the ledger, in its order.
    """
    counts = Counter(claim.verdict for claim in claims)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    content = {
        "version": SPECIFICATION,
        "paper": PAPER,
        "summary": f"An independent reproduction. `make test` builds the book and checks every output; `make results` "
        f"makes every file below anew, but for those of models with terms of their own ({', '.join(OPTIONAL)}). "
        f"{len(claims)} claims: {said}.",
        "manifest": [{"file": f"results/{name}.json", "comment": _first_line(name)} for name in EXPERIMENTS | OPTIONAL],
        "claims": [_entry(claim) for claim in claims],
    }
    header = "# Written by `linrep claims --codecheck codecheck.yml`; do not edit.\n"
    return header + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _first_line(name: str) -> str:
    """What the module of an experiment says that it is, and how the experiment is run."""
    module = import_module((EXPERIMENTS | OPTIONAL)[name].partition(":")[0])
    line = (module.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return f"{line}; linrep run {name}"


def _entry(claim: Claim) -> dict[str, str]:
    paper = {} if claim.paper is None else {"paper": shown(claim.paper)}
    return {
        "key": claim.key,
        "statement": claim.statement,
        "source": claim.source,
        "verdict": claim.verdict,
        "number": f"{shown(claim.number)} ({claim.measured})",
        **paper,
        "control": f"{shown(claim.control)} ({claim.broken})",
        "where": claim.where,
    }
