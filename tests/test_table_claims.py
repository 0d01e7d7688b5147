"""Claims on the paper's tables: what a cell says becomes a claim, and the verdict is the rule's."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from linrep.claims import claims_table, recorded_claims
from linrep.experiments import table_claims
from linrep.experiments.beside_paper import comparison_lines
from linrep.ledger import ledger_html, numbers, papers
from linrep.stats import Estimate


def cells(shift: float) -> pd.DataFrame:
    """A table of one m: 30 runs about the paper's values plus a shift."""
    draw = np.random.default_rng(0)
    printed = {symbol: Estimate(mean, 0.005, 30) for symbol, mean in (("U", 0.97), ("E", 0.95), ("UE", 0.96))}
    runs = {
        column: printed[symbol].mean + shift + 0.02 * draw.standard_normal(30)
        for column, symbol in (("unembedding", "U"), ("embedding", "E"), ("matched", "UE"))
    }
    return pd.DataFrame([{"m": 3} | line for line in comparison_lines(pd.DataFrame(runs), printed)])


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "reproduced"), (-0.1, "different")])
def test_a_cell_turns_with_its_runs(shift: float, verdict: str) -> None:
    found = table_claims.complete("table1", cells(shift))
    assert [claim.key for claim in found] == ["table1-m3-U", "table1-m3-E", "table1-m3-UE"]
    assert {claim.verdict for claim in found} == {verdict}
    for claim, mean in zip(found, (0.97, 0.95, 0.96), strict=True):
        assert claim.paper == mean
        assert claim.low < claim.number < claim.high
        assert abs(claim.control) < 0.3


def test_the_interval_is_students() -> None:
    draw = np.random.default_rng(1).normal(size=12)
    low, high = table_claims.interval(draw.mean(), stats.sem(draw), 12)
    oracle = stats.ttest_1samp(draw, 0).confidence_interval(0.95)
    assert (low, high) == (pytest.approx(oracle.low), pytest.approx(oracle.high))


def test_every_cell_of_the_paper_is_in_the_ledger_once() -> None:
    held = numbers(recorded_claims())
    keys = [claim.key for claim in held]
    assert len(set(keys)) == len(keys) == 45
    for name, count in (("table1-", 15), ("table2-", 15), ("table3-", 6), ("table4-", 6), ("figure6-", 3)):
        assert sum(key.startswith(name) for key in keys) == count
    assert not {claim.key for claim in papers(recorded_claims())} & set(keys)


def test_the_ledger_shows_the_papers_number_and_our_interval() -> None:
    claim = table_claims.complete("table1", cells(0))[0]
    html = ledger_html([claim])
    assert f"[{claim.low:.3f}, {claim.high:.3f}]" in html
    assert "paper 0.970" in html
    assert claims_table([claim])["paper"].tolist() == ["0.970"]
