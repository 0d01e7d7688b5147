"""What the chapter on room shows of its record, and the verdicts by the rules of `room_rules`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from linrep.experiments import room, room_simulated, room_squares
from linrep.experiments.room_rules import DIMS, DRAWS, FEWEST, LARGEST
from linrep.experiments.table_views import recorded
from linrep.llm import leading, squares
from linrep.llm.embedding import DERIVED
from linrep.llm.matrix import Unembedding
from linrep.results import require_agreement
from linrep.stats import MARGIN, Comparison, compare_paired

Word = Literal["new", "different", "undecided"]

ORDERS = ("components", "predictions", "predictions, other texts")

WIDE_START = "1"
"""A start that is not small: left out at k = m."""


def ranks() -> list[int]:
    """r of the record."""
    return list(recorded(room.NAME).body["ranks"])


def leading_rows(rows: Sequence[Mapping[str, object]] | None = None) -> pd.DataFrame:
    """Within, shuffled and excess by order, arm, concept and r; of the record, or of rows like those of it."""
    table = pd.DataFrame(recorded(room.NAME).body["leading"] if rows is None else rows)
    table["r"] = pd.Series([ranks()] * len(table), index=table.index)
    table = table.explode(["within", "shuffled", "r"], ignore_index=True)
    table = table.astype({"within": float, "shuffled": float, "r": int})
    return table.assign(excess=table["within"] - table["shuffled"])


def curves(column: str = "excess") -> dict[str, pd.DataFrame]:
    """Means over concepts by r, a column for each arm; for each order."""
    means = leading_rows().groupby(["order", "r", "arm"])[column].mean().unstack("arm")
    return {order: pd.DataFrame(means.loc[order]) for order in ORDERS}


def advantage(order: str, arm: str, *, basic: bool = False) -> tuple[Comparison, tuple[int, int]]:
    """The excess at the best leading dimensions over that of the full space, by the rule, and r* of both halves.

    Args:
        basic: without the inflection concepts that are differences of others.
    """
    table = leading_rows()
    part = table[(table["order"] == order) & (table["arm"] == arm)]
    if basic:
        part = part[~part["concept"].isin(DERIVED)]
    return advantage_of(part.pivot_table(index="concept", columns="r", values="excess"))


def advantage_of(excess: pd.DataFrame) -> tuple[Comparison, tuple[int, int]]:
    """The rule of asking 1 on a table of the excess, concepts by r, the full space last."""
    choices = [rank for rank in map(int, excess.columns[:-1]) if rank <= LARGEST]
    gain, best = leading.crossed(excess[choices].to_numpy(float), excess.iloc[:, -1].to_numpy(float))
    return compare_paired(gain, np.zeros_like(gain)), (choices[best[0]], choices[best[1]])


def word_of(found: Comparison) -> Word:
    """New if the interval is above the margin, different if it is below it, undecided else."""
    if found.low > MARGIN:
        return "new"
    return "different" if found.high < MARGIN else "undecided"


def advantage_table() -> pd.DataFrame:
    """The rule of asking 1 for each order, on the model, without derived concepts, and on the controls."""
    arms = {"trained": ("trained", False), "trained, basic": ("trained", True), "placed": ("placed", False)}
    arms |= {name: (name, False) for name in ("untrained", "Gaussian rows")}
    lines = []
    for order in ORDERS:
        for name, (arm, basic) in arms.items():
            found, best = advantage(order, arm, basic=basic)
            line = {"order": order, "arm": name, "r* even": best[0], "r* odd": best[1], "more": found.difference}
            lines.append(line | {"low": found.low, "high": found.high, "by the rule": word_of(found)})
    return pd.DataFrame(lines).set_index(["order", "arm"])


def square_rows() -> pd.DataFrame:
    """The families with enough squares: index arm, product and family; the mean share, and the other numbers."""
    table = pd.DataFrame(recorded(room.NAME).body["squares"])
    table = table.assign(kept=table["shares"].map(len), share=table["shares"].map(np.mean))
    return table[table["kept"] >= FEWEST].set_index(["arm", "product", "family"])


def share_summary(*, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Means over families by product, with the interval, the nulls, and the families with and without capitals."""
    table, lines = square_rows(), []
    for product in ("euclidean", "causal"):
        mine = table.xs(("trained", product), level=("arm", "product"))
        shares = {str(name): np.array(each) for name, each in mine["shares"].items()}
        low, high = np.quantile(squares.bootstrap_means(shares, draws=draws, seed=seed), [0.025, 0.975])
        capital = mine.index.str.endswith("capital")
        line: dict[str, Any] = {"product": product, "families": len(mine), "squares": int(mine["kept"].sum())}
        line |= {"share": mine["share"].mean(), "low": low, "high": high}
        line |= {"capital": mine["share"][capital].mean(), "other": mine["share"][~capital].mean()}
        control = table.xs(("untrained", product), level=("arm", "product"))
        lines.append(line | {"fourth": mine["fourth"].mean(), "untrained": control["share"].mean()})
    return pd.DataFrame(lines).set_index("product")


def shares_by_rank() -> pd.DataFrame:
    """The share at the pair by order and r (columns), and with the fourth word from another square."""
    table = pd.DataFrame(recorded(room.NAME).body["shares by r"])
    wide = table.melt(["order", "r"], var_name="number").pivot_table(
        index=["order", "number"], columns="r", values="value"
    )
    return wide.reindex(ORDERS, level="order")


def one_direction() -> pd.DataFrame:
    """Whether the interactions of a family have one direction: means over families, by product.

    Returns:
        one, two, pair: mean cosine between the b1, the b2 and the b12 of a family; "pair, fourth": of the b12 with
        the fourth words dealt out anew; along: the larger |cosine| of the mean b12 with one of the mean main effects.
    """
    means = square_rows().groupby(level=["arm", "product"])[["one", "two", "pair", "pair, fourth", "along"]].mean()
    return means.reindex(["trained", "untrained"], level="arm")


def simulated() -> pd.DataFrame:
    """Means over seeds of the simulated tables, by m, k and start."""
    table = pd.DataFrame(recorded(room.NAME).body["simulated"])
    return table.drop(columns="seed").groupby(["m", "k", "start"], sort=False).mean()


def bounds() -> tuple[float, float]:
    """S_m and S_wide of the rules: the largest mean shares of k = m and of k = 2^m."""
    shares = simulated()["share"].reset_index()
    narrow = shares["k"] == shares["m"]
    small = shares["start"] != WIDE_START
    return float(shares["share"][narrow & small].max()), float(shares["share"][~narrow].max())


def share_word(summary: pd.DataFrame, least: float, most: float) -> Word:
    """New if the interval is between the bounds under both products, different if outside on one side under both."""
    if (summary["low"] > least).all() and (summary["high"] < most).all():
        return "new"
    return "different" if (summary["low"] > most).all() or (summary["high"] < least).all() else "undecided"


def simulated_gain(*, k: int, wide: str, narrow: str, m: int = 3, start: str = "0.1") -> Comparison:
    """The excess in components at one r over that at another, seed by seed; r is named "m-1", "m" or "full"."""
    table = pd.DataFrame(recorded(room.NAME).body["simulated"])
    mine = table[(table["m"] == m) & (table["k"] == k) & (table["start"] == start)]
    one, other = (mine[f"components excess {name}"].to_numpy(float) for name in (narrow, wide))
    return compare_paired(one, other)


def fit_rows() -> pd.DataFrame:
    """Our own tables: scale, seed, k, clock, kl, monotone, step_size, concept, within, shuffled, excess."""
    record = recorded(room.NAME)
    table = pd.DataFrame(record.body["tables"])
    table["concept"] = pd.Series([record.body["concepts"]] * len(table), index=table.index)
    table = table.explode(["concept", "within", "shuffled"], ignore_index=True)
    table = table.astype({"within": float, "shuffled": float})
    return table.assign(excess=table["within"] - table["shuffled"])


def fit_curves() -> pd.DataFrame:
    """Means over concepts and seeds by start, k and clock: kl, within, shuffled, excess; runs and how many monotone."""
    rows = fit_rows()
    groups = rows.groupby(["scale", "k", "clock"], sort=False)
    runs = rows.drop_duplicates(["scale", "seed", "k", "clock"]).groupby(["scale", "k", "clock"], sort=False)[
        "monotone"
    ]
    means = groups[["kl", "within", "shuffled", "excess"]].mean()
    return means.join(runs.agg(["size", "sum"]).rename(columns={"size": "runs", "sum": "monotone"}))


def fall(scale: float) -> tuple[Comparison, tuple[int, int]]:
    """The rule of asking 3, at the last clock: the excess at the best k over that of the widest; k* of both halves."""
    rows = fit_rows()
    last = rows[(rows["scale"] == scale) & (rows["clock"] == rows["clock"].max())]
    excess = last.pivot_table(index="concept", columns="k", values="excess")  # the mean of the seeds
    gain, best = leading.crossed(excess.to_numpy(float), excess.iloc[:, -1].to_numpy(float))
    return compare_paired(gain, np.zeros_like(gain)), (int(excess.columns[best[0]]), int(excess.columns[best[1]]))


def fall_table() -> pd.DataFrame:
    """The rule of asking 3 for both starts."""
    lines = []
    for scale in DIMS:
        found, best = fall(scale)
        line = {"start": scale, "k* even": best[0], "k* odd": best[1], "more": found.difference}
        lines.append(line | {"low": found.low, "high": found.high, "by the rule": word_of(found)})
    return pd.DataFrame(lines).set_index("start")


def require_live(
    model: Unembedding,
    *,
    concepts: Sequence[str],
    families: Sequence[str],
    cells: Sequence[tuple[int, int, str]],
    tolerance: float,
) -> int:
    """Compute asking 1 in components, asking 2 and the simulated cells again, in part, and hold them to the record.

    Args:
        concepts, families: names of those that are computed again. cells: m, k and start.

    Returns:
        How many numbers were compared.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    matrix, _ = leading.component_order(model.unembedding)
    pairs = [each for each in room.word_concepts(model) if each.name in concepts]
    now = leading_rows(room.concept_rows("components", "trained", model.unembedding, matrix, pairs))
    keys = ["order", "arm", "concept", "r"]
    require_agreement(leading_rows(), now, on=keys, columns=["within", "shuffled"], tolerance=tolerance)
    chosen = [each for each in room_squares.word_families(model) if each.name in families]
    live = pd.DataFrame(room_squares.square_rows(model, chosen))
    live = live.assign(share=live["shares"].map(np.mean))
    columns = ["share", "fourth", "pair", "along"]
    require_agreement(square_rows().reset_index(), live, on=["arm", "product", "family"], columns=columns,
                      tolerance=tolerance)  # fmt: skip
    rows = pd.DataFrame([row for m, k, start in cells for row in room_simulated.cell_rows(m, k, start)])
    then = pd.DataFrame(recorded(room.NAME).body["simulated"])
    numbers = [name for name in rows.columns if name not in ("m", "k", "start", "seed")]
    require_agreement(then, rows, on=["m", "k", "start", "seed"], columns=numbers, tolerance=tolerance)
    return 2 * len(now) + len(columns) * len(live) + len(numbers) * len(rows)
