"""Tables and claims of the chapter on the role of the loss."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from linrep.claims import Claim
from linrep.experiments import loss_optima, loss_record
from linrep.experiments.loss_record import HORIZONS
from linrep.pilot import CLOCKS, Pace
from linrep.results import Record

LEVELS = (0.1, 0.03)
"""KL divergences, nats, at which losses are compared at one fit."""

SMOOTHINGS = {"smoothing 0.3": 0.3, "smoothing 0.1": 0.1, "smoothing 0.01": 0.01}

UNBOUNDED = ("cross-entropy", "zeros only", "probabilities")
"""The losses that no finite logits minimise."""

WIDE = 0.5
"""The scale of a start whose tables stay unbalanced: the control."""

PRODUCTS = Pace(1.0, 1000)
"""Step and steps of squared error of the products, half of the largest step that the pilots allow at k = 3.

At k = 8 the loss reaches zero soon after, and then only its rounding error moves."""


def late_table(record: Record, dim: int, *, clock: int | None = None) -> pd.DataFrame:
    """Every loss at one clock, the horizon if none is given: fit, logits and cosines, means over the seeds.

    Columns: KL and leak (see `loss_runs.look`), range (of the logits of a context), U with its standard error, E, UE
    and between.
    """
    curves = record.to_frame()
    late = curves[(curves["k"] == dim) & (curves["clock"] == (clock or HORIZONS[dim]))].set_index("loss")
    names = {"kl": "KL", "spread": "range"}
    return late[["kl", "leak", "spread", "U", "U ±", "E", "UE", "between"]].rename(columns=names)


def range_table(record: Record, dim: int) -> pd.DataFrame:
    """The largest range of the logits of a context, mean over the seeds, at `CLOCKS` up to the horizon."""
    curves = record.to_frame()
    shown = curves[(curves["k"] == dim) & curves["clock"].isin(CLOCKS)]
    return shown.pivot(index="loss", columns="clock", values="spread").loc[shown["loss"].unique()]


def steps_table(record: Record) -> pd.DataFrame:
    """For each arm: step, monotone seeds, and what doubling the step moves in a seed and in a mean at `CLOCKS`."""
    arms = pd.DataFrame(record.body["arms"]).set_index(["k", "loss"])
    return arms[["step_size", "monotone", "a seed moves", "a mean moves"]].rename(columns={"step_size": "step"})


def fit_table(record: Record, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """U where the mean KL divergence first passes some levels, for the losses that get there.

    The mean over the seeds is taken to be linear in the logarithm of the KL divergence between two marks.
    """
    rows = []
    for (dim, name), curve in record.to_frame().groupby(["k", "loss"], sort=False):
        line: dict[str, object] = {"k": dim, "loss": name}
        kl, linear = curve["kl"].to_numpy(float), curve["U"].to_numpy(float)
        for level in levels:
            after = int(np.argmax(kl <= level))
            if kl[after] <= level and after > 0:
                share = np.log(kl[after - 1] / level) / np.log(kl[after - 1] / kl[after])
                line[f"U at KL = {level:g}"] = linear[after - 1] + share * (linear[after] - linear[after - 1])
        if len(line) > 2:
            rows.append(line)
    return pd.DataFrame(rows).set_index(["k", "loss"])


def slope_table(record: Record, dim: int = 8) -> pd.DataFrame:
    """−d ln(leak)/d ln(clock) over the last factor of √10 before the horizon: mean and standard error.

    Of the losses that push for ever, and of one that stops.
    """
    arms = pd.DataFrame(record.body["arms"])
    return arms[(arms["k"] == dim) & arms["loss"].isin((*UNBOUNDED, "smoothing 0.1"))].set_index("loss")[
        ["slope", "slope ±"]
    ]


def optimum_table(record: Record) -> pd.DataFrame:
    """Label smoothing at k = 8: U, E, UE at the optimum (balanced factors, computed) and trained to the horizon."""
    found = loss_optima.smoothed_optima(tuple(SMOOTHINGS.values())).groupby("epsilon")[["U", "E", "UE"]].mean()
    late = late_table(record, 8)
    rows = []
    for name, epsilon in SMOOTHINGS.items():
        line: dict[str, object] = {"ε": epsilon}
        for measure in ("U", "E", "UE"):
            line |= {measure: found[measure][epsilon], f"{measure} trained": late[measure][name]}
        rows.append(line)
    return pd.DataFrame(rows).set_index("ε")


def products_rows(dims: Sequence[int] = (3, 4, 8), *, scale: float = loss_optima.SMALL) -> pd.DataFrame:
    """Squared error of the products on the chapter's worlds at each k: predicted, and trained from N(0, scale²)."""
    return loss_optima.product_rows(dims, prob=(0.3, 0.7), init_scale=scale, pace=PRODUCTS, seeds=range(20))


def claims(
    record: Record | None = None,
    optima: pd.DataFrame | None = None,
    products: pd.DataFrame | None = None,
    wide: pd.DataFrame | None = None,
) -> list[Claim]:
    """The claims of the chapter, from its tables or, where one is left out, computed afresh.

    Args:
        optima: `optimum_table`. products: `products_rows`. wide: the same at k = 3 from `WIDE`.
    """
    record = loss_record.recorded() if record is None else record
    optima = optimum_table(record) if optima is None else optima
    products = products_rows() if products is None else products
    wide = products_rows([3], scale=WIDE) if wide is None else wide
    small, ample = late_table(record, 3), late_table(record, 8)
    return [
        _smoothing(optima, ample),
        _squared(slope_table(record)),
        _products(products, wide),
        _zeros(small),
        _zeros_only(small),
    ]


def _smoothing(optima: pd.DataFrame, ample: pd.DataFrame) -> Claim:
    """New when training ends within 0.01 of the optimum computed, by ten standard errors below cross-entropy."""
    number, control = float(ample["U"]["smoothing 0.1"]), float(ample["U"]["cross-entropy"])
    there = (optima["U"] - optima["U trained"]).abs().max() < 0.01
    below = control - number > 10 * float(ample["U ±"]["cross-entropy"])
    return Claim(
        key="loss-smoothing",
        statement="label smoothing has one finite optimum; with ample width its balanced factors are far from linear",
        source="ours",
        hypotheses="0 < ε < 1; balanced tables; k ≥ 2^m − 1",
        verdict="new" if there and below else "different",
        measured=f"mean U trained at ε = 0.1, m = 3, k = 8, 20 seeds, clock {HORIZONS[8]:,}",
        number=number,
        broken="ε = 0: cross-entropy on the same worlds, starts and clock, which has no optimum",
        control=control,
        where="loss:thm-loss-smoothing",
    )


def _squared(slopes: pd.DataFrame) -> Claim:
    """New when the slopes stand as 1 to 2 within a tenth, and each lies within 0.15 of its limit."""
    number, control = float(slopes["slope"]["probabilities"]), float(slopes["slope"]["cross-entropy"])
    near = abs(number - 0.5) < 0.15 and abs(control - 1) < 0.15 and abs(control / number - 2) < 0.2
    return Claim(
        key="loss-squared-error",
        statement="squared error of probabilities drives impossible tokens away too, half as fast in the logarithm: "
        "one logit, and the full model at k = 8",
        source="ours",
        hypotheses="gradient flow; one context with two tokens, one of them impossible (measured: the full model)",
        verdict="new" if near else "undecided",
        measured=f"−d ln(leak)/d ln(clock) at clock {HORIZONS[8]:,}, m = 3, k = 8, 20 seeds; the limit is 1/2",
        number=number,
        broken="the loss: the same for cross-entropy, whose limit is 1",
        control=control,
        where="loss:thm-loss-rate",
    )


def _products(products: pd.DataFrame, wide: pd.DataFrame) -> Claim:
    """New when every seed is monotone and within 0.01 of its prediction, and from an unbalanced start some are not."""
    number, control = (float((rows["U"] - rows["U trained"]).abs().max()) for rows in (products, wide))
    held = products["monotone"].all() and wide["monotone"].all() and number < 0.01 < 0.05 < control
    return Claim(
        key="loss-products",
        statement="squared error of the products without a softmax ends at a truncated singular value decomposition",
        source="ours",
        hypotheses="balanced tables; a gap after the k-th singular value",
        verdict="new" if held else "different",
        measured="largest difference of U from its prediction, m = 3, k = 3, 4, 8, 20 seeds, clock 1,000, N(0, 0.01²)",
        number=number,
        broken=f"balance: start N(0, {WIDE:g}²), k = 3, the same worlds, clock and step",
        control=control,
        where="loss:thm-loss-products",
    )


def _zeros(small: pd.DataFrame) -> Claim:
    """New when U without the zeros is by four standard errors below half."""
    number, error = float(small["U"]["no zeros"]), float(small["U ±"]["no zeros"])
    return Claim(
        key="loss-zeros",
        statement="without the zeros one embedding for all contexts is optimal; hardly any linear geometry is left",
        source="ours",
        hypotheses="p(c) > 0; the softmax runs over the tokens that agree with the context",
        verdict="new" if number + 4 * error < 0.5 else "undecided",
        measured=f"mean U without the zeros, m = k = 3, 20 seeds, clock {HORIZONS[3]:,}",
        number=number,
        broken="the zeros put back: cross-entropy on the same worlds, starts and clock",
        control=float(small["U"]["cross-entropy"]),
        where="loss:prop-loss-zeros",
    )


def _zeros_only(small: pd.DataFrame) -> Claim:
    """New when U with the zeros alone is by two standard errors of the difference above that of cross-entropy."""
    number, control = float(small["U"]["zeros only"]), float(small["U"]["cross-entropy"])
    error = float(np.hypot(small["U ±"]["zeros only"], small["U ±"]["cross-entropy"]))
    return Claim(
        key="loss-zeros-only",
        statement="the zero probabilities alone, all other probabilities made equal, give the linear geometry",
        source="ours",
        hypotheses="k = m",
        verdict="new" if number > 0.99 and number - control > 2 * error else "undecided",
        measured=f"mean U with the zeros only, m = k = 3, 20 seeds, clock {HORIZONS[3]:,}",
        number=number,
        broken="the other probabilities put back: cross-entropy on the same worlds, starts and clock",
        control=control,
        where="loss:prop-loss-zeros",
    )
