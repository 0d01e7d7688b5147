"""A probe's report as tables and arrays, for the chapters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

Report = Mapping[str, Any]


def within_table(report: Report, *, product: str) -> pd.DataFrame:
    """One row for each measured concept: pairs kept and dropped, mean cosine and its standard error, null, q."""
    measured = [concept for concept in report["concepts"] if concept["within"] is not None]
    return pd.DataFrame(
        {
            "concept": concept["name"],
            "kept": concept["kept"],
            "dropped": len(concept["dropped"]),
            "within": concept["within"][product],
            "stderr": concept["within_stderr"][product],
            "shuffled": concept["null"][product]["shuffled"],
            "q": concept["null"][product]["q"],
        }
        for concept in measured
    ).set_index("concept")


def arms_table(reports: Mapping[str, Report]) -> pd.DataFrame:
    """One row for each report and product: mean within a concept, mean of its null, between, and random pairs between.

    *significant* counts the concepts whose q is at most 0.05; *random ±* is a standard deviation over draws. With one
    concept there is nothing between.
    """
    lines = []
    for arm, report in reports.items():
        for product in report["between"]:
            table = within_table(report, product=product)
            random = report["between_random"][product] or {"mean": None, "sd": None}
            lines.append(
                {
                    "arm": arm,
                    "product": product,
                    "within": table["within"].mean(),
                    "shuffled": table["shuffled"].mean(),
                    "significant": f"{(table['q'] <= 0.05).sum()} of {len(table)}",
                    "between": report["between"][product],
                    "random": random["mean"],
                    "random ±": random["sd"],
                }
            )
    return pd.DataFrame(lines).set_index(["arm", "product"])


def dropped_table(report: Report) -> pd.DataFrame:
    """Every pair that tokenisation dropped, and why."""
    return pd.DataFrame(
        [
            {"concept": concept["name"], "pair": " / ".join(drop["pair"]), "reason": drop["reason"]}
            for concept in report["concepts"]
            for drop in concept["dropped"]
        ],
        columns=["concept", "pair", "reason"],
    ).set_index("concept")


def matrices(report: Report, order: Sequence[str]) -> dict[str, Float[np.ndarray, "concepts concepts"]]:
    """Mean cosines between the steering vectors of each two concepts, for each product, in the order given."""
    place = [report["measured"].index(name) for name in order]
    return {product: np.array(matrix)[np.ix_(place, place)] for product, matrix in report["cosines"].items()}
