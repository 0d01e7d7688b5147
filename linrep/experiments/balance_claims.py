"""The claims of the chapter on balance: each verdict follows from numbers, by the rule in its docstring."""

import pandas as pd

from linrep.claims import Claim
from linrep.experiments.balanced_arms import CONDITION, SMALL_CONDITION, causal_table, common
from linrep.experiments.balanced_factors import TIMES, counted

FLOAT = 1e-9
"""Identities hold to rounding: far below this, in double precision."""

WITHIN = 0.01
"""A predicted squared length is met within this part of it."""


def conserved(steps: pd.DataFrame, rates: pd.DataFrame) -> Claim:
    """Holds if no first-order term is left along a gradient, there is one along Adam's step, and the drift is as η."""
    first = steps.groupby("arm")["first order"]
    worst, control = float(first.max().drop("adam").max()), float(first.min()["adam"])
    rate = rates["slope"]
    holds = worst < FLOAT and control > 0.1 and abs(rate["drift"] - 1) < 0.02 and abs(rate["per step"] - 2) < 0.02
    return Claim(
        key="balance-conserved",
        statement="Gradient flow on any loss of the logits conserves FᵀF − GᵀG; a step η of descent changes it by "
        "η²(GᵀEᵀEG − FᵀEEᵀF), so that the drift at one clock is proportional to η.",
        source="ours, after Du, Hu and Lee",
        hypotheses="H1 the loss depends on F and G through the logits alone, H2 each step is along its gradient",
        verdict="holds in range" if holds else "different",
        measured="largest first-order part of the change in one step, relative; descent on two losses, SGD; 10 seeds",
        number=worst,
        broken="H2: Adam's step, the least of 10 seeds",
        control=control,
        where="balance:prop-conserved",
    )


def drift(optimisers: pd.DataFrame) -> Claim:
    """Holds if in every seed descent stays below the bound, and SGD at the same step and clock is above it."""
    ratio = (optimisers["drift"] / optimisers["allowed"]).groupby(optimisers["arm"])
    worst, control = float(ratio.max()["gd"]), float(ratio.min()["sgd"])
    return Claim(
        key="balance-drift",
        statement="While every step lowers the loss by η|∇L|²/2 or more, FᵀF − GᵀG never moves by more than 2η times "
        "the fall of the loss, however long the run.",
        source="ours",
        hypotheses="H1 a loss of the logits, H2 gradient descent, H3 each step lowers the loss by η|∇L|²/2 or more",
        verdict="new" if worst <= 1 < control else "different",
        measured="largest drift over 2η(L_0 − L_T), gradient descent, step 0.1, clock 300, 10 random worlds, m = k = 3",
        number=worst,
        broken="H2, and H3 with it: SGD, batches of 100, the same step and clock; the least of 10 seeds",
        control=control,
        where="balance:prop-drift",
    )


def token_sum(steps: pd.DataFrame) -> Claim:
    """Holds if Σg moves in no seed under softmax, by descent or SGD, and in every seed under squared error."""
    moves = steps.groupby("arm")["sum moves"]
    worst = float(moves.max()[["gd, cross-entropy", "sgd"]].max())
    control = float(moves.min()["gd, squared error"])
    return Claim(
        key="balance-sum",
        statement="Descent and SGD on a loss that ignores a constant added to a context's logits conserve Σ_c g(c).",
        source="ours, after Kunin et al.",
        hypotheses="H1 a constant added to all logits of a context leaves the loss as it is, H2 gradient steps",
        verdict="holds in range" if worst < FLOAT and control > 0.1 else "different",
        measured="largest |Σ Δg| over Σ |Δg| in one step of descent or SGD on the cross-entropy, 10 seeds",
        number=worst,
        broken="H1: squared error on the logits; the least of 10 seeds",
        control=control,
        where="balance:prop-sum",
    )


def balanced(live: pd.DataFrame, unbalanced: pd.DataFrame) -> Claim:
    """Holds if from S = 0.01 every squared length is within 1 % and every cosine under 0.001, and not under a gauge."""
    late = counted(live)[counted(live)["clock"] == TIMES[1]]
    small, gauged = late[late["scale"] == 0.01], counted(unbalanced)
    number = float(small[["length a", "length b"]].to_numpy().max())
    control = float(gauged[["length a", "length b"]].max(axis=1).min())
    holds = number < WITHIN < control and small["worst pair"].max() < 0.001 < gauged["between"].min()
    return Claim(
        key="balance-factors",
        statement="Balanced tables whose logits are Σ λ_i φ_i χ_iᵀ, both families orthogonal, have orthogonal, matched "
        "concepts with |a_i|² = λ_i|χ_i|/|φ_i| and |b_i|² = λ_i|φ_i|/|χ_i|.",
        source="ours",
        hypotheses="H1 FᵀF = GᵀG, H2 F Gᵀ = Σ λ_i φ_i χ_iᵀ, H3 φ_i orthogonal over contexts, H4 χ_i over tokens",
        verdict="new" if holds else "different",
        measured="largest relative error of a squared length, start N(0, 0.01²), uniform worlds, m = k = 3, clock "
        f"10,000, {len(small)} fitted of 8 seeds",
        number=number,
        broken=f"H1: such models under gauges of condition number {SMALL_CONDITION:g}, clock 1,000; least of a seed",
        control=control,
        where="balance:thm-factors",
    )


def cause(arms: pd.DataFrame) -> Claim:
    """Holds if balance makes the difference at equal logits, and no cosine moves by more than the theorem allows."""
    between = causal_table(arms)["between"]
    number, control = float(between["symmetric, balanced"]), float(between["symmetric, gauged"])
    allowed = bool((common(arms)["used"] <= 1).all())
    return Claim(
        key="balance-cause",
        statement="An imbalance D moves a cosine by at most 2 tan(α/2), tan α = |D|/(2σ), σ the least singular "
        "value of the logits; the same logits at the start, unbalanced, end neither orthogonal nor matched.",
        source="ours",
        hypotheses="H1 k is the rank of the logits, H2 FᵀF = GᵀG at the start",
        verdict="new" if allowed and number < FLOAT and control > 0.1 else "different",
        measured="mean |cosine| between concepts after training from balanced symmetric tables; m = k = 3, clock 1,000",
        number=number,
        broken=f"H2: the same logits under gauges of condition number {CONDITION:g}",
        control=control,
        where="balance:thm-cost",
    )


def rebalance(restored: pd.DataFrame) -> Claim:
    """Holds if rebalancing moves no logit, makes every concept matched, and the gauge had undone that."""
    table = counted(restored).groupby("tables")
    number, control = float(table["matched"].mean()["gauged, rebalanced"]), float(table["matched"].mean()["gauged"])
    same = table["logits move"].max().max() < FLOAT
    return Claim(
        key="balance-rebalance",
        statement="Among the tables with given logits of rank k one pair is balanced, up to rotation; rewriting a "
        "trained model so restores matching and near-orthogonality, and changes no prediction.",
        source="ours",
        hypotheses="H1 F and G have full column rank, H2 the gauge balances them",
        verdict="new" if same and number > 0.98 and control < 0.5 else "different",
        measured="least cosine between the mean Δf_i and Δg_i, mean over fitted seeds; uniform worlds from N(0, 1), "
        "m = k = 3, clock 1,000, gauged, then rebalanced",
        number=number,
        broken=f"H2: gauged with condition number {CONDITION:g}, not rebalanced",
        control=control,
        where="balance:prop-rebalance",
    )
