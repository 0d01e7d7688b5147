"""The claims of the chapter on causes: each verdict follows from numbers, by the rule in its docstring.

Those on noise are in `noise_claims`, whose frames these share.
"""

import pandas as pd

from linrep.claims import Claim
from linrep.experiments import cause_views as views
from linrep.experiments import noise_claims as noise
from linrep.experiments import predictions
from linrep.experiments.noise_claims import SETTING, added
from linrep.experiments.width_causes import ARMS, DIMS
from linrep.stats import MARGIN

CLOSE = 0.01
"""U within this of another counts as the same."""

SETTLED = 10
"""λ times the clock from which on the start is forgotten, and up to a tenth of which it is not."""


def claims(
    wide: pd.DataFrame | None = None,
    narrow: pd.DataFrame | None = None,
    same: pd.DataFrame | None = None,
    like: pd.DataFrame | None = None,
    half: pd.DataFrame | None = None,
    path: pd.DataFrame | None = None,
    recipe: pd.DataFrame | None = None,
    said: pd.DataFrame | None = None,
) -> list[Claim]:
    """The claims of the chapter, from its tables; what is not given is made as the chapter makes it.

    Args:
        wide, narrow: of `against`, all arms at k = 8 and 3. same: of `equal_ratio`. like: of `against`, normal noise
        of the minibatches' covariance against SGD. half: of `half_step`. path: of `decay_against_path`. recipe: of
        `recipe`. said: of `predictions.table`.
    """
    arms = [name for name in ARMS if name != "descent"]
    wide = views.against(DIMS[0], arms) if wide is None else wide
    narrow = views.against(DIMS[1], arms) if narrow is None else narrow
    same = views.equal_ratio(DIMS[0], noise.EQUAL) if same is None else same
    like = views.against(DIMS[0], ["covariance 1, 200"], base="SGD 1, 200") if like is None else like
    said = predictions.table(seeds=range(10)) if said is None else said
    return [
        noise.sgd(wide),
        noise.ratio(same, wide),
        noise.covariance(like, wide),
        noise.even(wide),
        noise.tables(wide),
        steps(wide, views.half_step() if half is None else half),
        decay(wide, narrow),
        optimum(views.decay_against_path(seeds=8) if path is None else path),
        smoothing(wide, narrow),
        noise.adam(wide),
        noise.recipe(views.recipe() if recipe is None else recipe),
        linear_above(said),
        large_start(said),
        all_known(said),
    ]


def steps(wide: pd.DataFrame, half: pd.DataFrame) -> Claim:
    """New: U and E fall for certain by more than the margin at two and four times the step; at half no cosine moves.

    Args:
        half: of `cause_views.half_step`.
    """
    large = [(arm, cosine) for arm in ("step x 2", "step x 4") for cosine in ("U", "E")]
    fall = all(added(wide, arm, cosine, "high") < -MARGIN for arm, cosine in large)
    control = float(half["a mean moves"][DIMS[0]])
    return Claim(
        key="causes-steps",
        statement="Above the largest monotone step, words and contexts of wide models become less linear.",
        source="ours",
        hypotheses="H1 steps of two or four times the largest monotone one, H2 k = 8",
        verdict="new" if fall and control < CLOSE else "undecided",
        measured=f"largest |change| of a mean cosine at twice the step, U, E or UE; {SETTING}",
        number=max(abs(added(wide, "step x 2", cosine)) for cosine in ("U", "E", "UE")),
        broken="H1: half the step",
        control=control,
        where="causes:sec-causes-steps",
    )


def decay(wide: pd.DataFrame, narrow: pd.DataFrame) -> Claim:
    """New: at λ = 10⁻⁴ and 10⁻³ U falls by more than the margin at k = 8, and rises at k = m, all for certain."""
    weak = ("decay 1e-4", "decay 1e-3")
    fall = all(added(wide, arm, column="high") < -MARGIN for arm in weak)
    rise = all(added(narrow, arm, column="low") > 0 for arm in weak)
    return Claim(
        key="causes-decay",
        statement="Weak weight decay makes wide words less linear, since it speeds the way to an optimum that is not.",
        source="ours",
        hypotheses="H1 k = 8, H2 weight decay of 10⁻⁴ or 10⁻³",
        verdict="new" if fall and rise else "undecided",
        measured=f"U at λ = 10⁻³ less that without decay; {SETTING}",
        number=added(wide, weak[1]),
        broken="H1: k = m = 3",
        control=added(narrow, weak[1]),
        where="causes:sec-causes-decay",
    )


def optimum(path: pd.DataFrame) -> Claim:
    """New: within 0.01 where the start is forgotten, and out of the margin where it is not.

    Args:
        path: of `cause_views.decay_against_path`.
    """
    forgotten = path["forgotten"]
    number = float(path.loc[forgotten >= SETTLED, "U off by"].max())
    control = float(path.loc[forgotten <= SETTLED / 10, "U off by"].min())
    return Claim(
        key="causes-decay-optimum",
        statement="Where weight decay times the clock is large, descent has forgotten its start, and U is that of the "
        "optimum of the same world.",
        source="ours",
        hypotheses=f"H1 λ times the clock is {SETTLED} or more, H2 k = 2^m",
        verdict="new" if number < CLOSE and control > MARGIN else "undecided",
        measured="largest |difference| of U from that of the optimum by L-BFGS, λ = 10⁻³ and 10⁻², m = 3, 8 seeds, "
        "clock 10,000",
        number=number,
        broken=f"H1: λ times the clock at most {SETTLED // 10}, λ = 10⁻⁵ and 10⁻⁴, the smaller one",
        control=control,
        where="causes:sec-causes-decay",
    )


def smoothing(wide: pd.DataFrame, narrow: pd.DataFrame) -> Claim:
    """New: every strength lowers U for certain by more than the margin at k = 8, and none by as much at k = m."""
    arms = [arm for arm in wide.index.unique("arm") if arm.startswith("smoothing")]
    fall = all(added(wide, arm, column="high") < -MARGIN for arm in arms)
    kept = all(added(narrow, arm, column="low") > -MARGIN for arm in arms)
    return Claim(
        key="causes-smoothing",
        statement="Label smoothing makes wide words less linear; at k = m there is no room for its pattern.",
        source="ours",
        hypotheses="H1 k = 8, H2 smoothing of 0.001 to 0.1",
        verdict="new" if fall and kept else "undecided",
        measured=f"U less that without smoothing, the smallest loss of three strengths; {SETTING}",
        number=max(added(wide, arm) for arm in arms),
        broken="H1: k = m = 3, the smallest gain",
        control=min(added(narrow, arm) for arm in arms),
        where="causes:sec-causes-decay",
    )


def linear_above(said: pd.DataFrame) -> Claim:
    """New: both U came out in the range that was said before the runs."""
    held = bool(said["held"].iloc[[0, 1]].all())
    return Claim(
        key="prediction-linear-above",
        statement="Predicted before it was run: with λ = 0.015 four fair coins are linear in sixteen dimensions.",
        source="ours",
        hypotheses="H1 weight decay in the range in which the optimum is linear, H2 fair coins",
        verdict="new" if held else "different",
        measured="U, said to be 0.99 or more; 10 seeds, clock 3,162",
        number=float(said["U"].iloc[0]),
        broken="H1: λ = 0.003, said to be within 0.03 of its optimum's U",
        control=float(said["U"].iloc[1]),
        where="causes:sec-causes-predictions",
    )


def large_start(said: pd.DataFrame) -> Claim:
    """New: both came out as was said, in U and in fit; different if one of them did not."""
    held = bool(said["held"].iloc[[2, 3]].all())
    return Claim(
        key="prediction-large-start",
        statement="Predicted before it was run: from N(0, 3²) words are not linear at k = m.",
        source="ours",
        hypotheses="H1 start N(0, 3²), H2 m = k = 4",
        verdict="new" if held else "different",
        measured="U, said to be 0.8 or less, with a median KL below 0.01; 10 seeds, clock 10,000",
        number=float(said["U"].iloc[2]),
        broken="H1: start N(0, 0.1²), said to be 0.95 or more",
        control=float(said["U"].iloc[3]),
        where="causes:sec-causes-predictions",
    )


def all_known(said: pd.DataFrame) -> Claim:
    """New: both came out as was said, in U and in fit."""
    held = bool(said["held"].iloc[[4, 3]].all())
    return Claim(
        key="prediction-all-known",
        statement="Predicted before it was run: without contexts that leave a concept open, words are not linear at "
        "k = m.",
        source="ours",
        hypotheses="H1 only contexts that know every concept, H2 m = k = 4, start N(0, 0.1²)",
        verdict="new" if held else "different",
        measured="U, said to be 0.5 or less; 10 seeds, clock 10,000",
        number=float(said["U"].iloc[4]),
        broken="H1: all contexts, said to be 0.95 or more",
        control=float(said["U"].iloc[3]),
        where="causes:sec-causes-predictions",
    )
