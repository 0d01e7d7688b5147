"""Per-seed tables beside what the paper prints for the same m: verdicts, and the other reading of a mean cosine."""

from typing import Any

import pandas as pd

from linrep.simulate import COSINES
from linrep.stats import Comparison, Estimate, compare, estimate


def comparison_lines(per_seed: pd.DataFrame, printed: dict[str, Estimate]) -> list[dict[str, Any]]:
    """A line for each cosine: ours and the paper's with standard errors, difference with its interval, verdict."""
    lines = []
    for column, symbol in COSINES.items():
        ours, theirs = estimate(per_seed[column].to_numpy(float)), printed[symbol]
        cell = {"cosine": symbol, "runs": ours.count, "ours": ours.mean, "ours ±": ours.stderr}
        lines.append(cell | {"paper": theirs.mean, "paper ±": theirs.stderr} | as_cells(compare(ours, theirs)))
    return lines


def self_pair_lines(per_seed: pd.DataFrame, printed: dict[str, Estimate], *, m: int) -> list[dict[str, Any]]:
    """U and E as measured, and with each vector's cosine with itself counted, (1 + (n − 1)U)/n, beside the paper's.

    n is 2^(m−1) for U and 3^(m−1) for E; UE is the same under both readings.
    """
    lines = []
    for column, symbol, base in (("unembedding", "U", 2), ("embedding", "E", 3)):
        count, mean = base ** (m - 1), float(per_seed[column].mean())
        line = {"m": m, "cosine": symbol, "without": mean, "with": (1 + (count - 1) * mean) / count}
        lines.append(line | {"paper": printed[symbol].mean})
    return lines


def as_cells(found: Comparison) -> dict[str, Any]:
    """A comparison's columns."""
    return {"difference": found.difference, "low": found.low, "high": found.high, "verdict": found.verdict}
