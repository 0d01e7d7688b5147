"""The statistics against scipy's own tests, and verdicts that can each come out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from linrep.errors import InputError
from linrep.stats import Estimate, compare, estimate


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.001, 1), st.floats(-0.1, 0.1), st.integers(0, 10**6))
def test_the_verdict_is_that_of_welchs_tests(n: int, k: int, scale: float, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(shift, scale, n), rng.normal(0, 0.02, k)
    found = compare(estimate(first), estimate(second))
    lower = stats.ttest_ind(first + 0.03, second, equal_var=False, alternative="greater").pvalue
    upper = stats.ttest_ind(first - 0.03, second, equal_var=False, alternative="less").pvalue
    equal = stats.ttest_ind(first, second, equal_var=False).pvalue
    expected = "reproduced" if max(lower, upper) < 0.05 else "different" if equal < 0.05 else "undecided"
    assert found.verdict == expected
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (Estimate(0.98, 0.002, 20), Estimate(0.97, 0.004, 100), "reproduced"),
        (Estimate(0.90, 0.002, 20), Estimate(0.97, 0.004, 100), "different"),
        (Estimate(0.95, 0.020, 20), Estimate(0.97, 0.004, 100), "undecided"),
        (Estimate(0.997, 0.0, 20), Estimate(0.997, 0.0, 20), "reproduced"),
    ],
)
def test_each_verdict_can_come_out(ours: Estimate, theirs: Estimate, verdict: str) -> None:
    assert compare(ours, theirs).verdict == verdict


def test_an_estimate_is_mean_and_standard_error() -> None:
    found = estimate(np.array([1.0, 2, 6]))
    assert (found.mean, found.stderr, found.count) == (3, pytest.approx(np.sqrt(7 / 3)), 3)


def test_what_cannot_be_estimated_is_refused() -> None:
    for values in ([], [1.0, np.nan], [np.inf]):
        with pytest.raises(InputError, match="must be finite"):
            estimate(np.array(values))
    with pytest.raises(InputError, match=r"1 and 5 run\(s\)"):
        compare(estimate(np.array([1.0])), Estimate(1, 0.1, 5))
