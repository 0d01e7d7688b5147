"""Theorem 12 on random starts, and the claims of the chapter on alignment (Theorems 12 and 5/14, Proposition 11)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from linrep.claims import Claim, Word
from linrep.experiments import closeness, generic, joint
from linrep.experiments.generic import Runs
from linrep.theory.alignment import (
    PairPath,
    cosine_of_ratio,
    descend_pair,
    largest_step,
    ratio_path,
    start_ratio,
)
from linrep.theory.joint import TOLERANCE

BANDS: Mapping[str, tuple[float, float]] = {
    "0.05 to 1 (paper)": (0.05, 1.0),
    "1 to 2": (1.0, 2.0),
    "2 to 5": (2.0, 5.0),
    "5 to 50": (5.0, 50.0),
}
"""Ranges of η L(u0, v0) from which steps are drawn."""

STALL = (np.array([1.0, 0.3]), np.array([-1.0, 0.3]))
"""A start with u·v < 0 whose largest step is 2.396/L."""

ROUNDING = 1e-12
"""A cosine that is less than before by no more than this has not fallen: cosines carry errors of some 1e-16."""


def random_pairs(
    count: int, *, seed: int, longest: float = 3.0, largest_dim: int = 32
) -> tuple[Float[np.ndarray, "count dim"], Float[np.ndarray, "count dim"]]:
    """Starts of 2 to `largest_dim` dimensions, lengths log-uniform from 0.1 to `longest`, angle uniform.

    The even ones have u·v ≥ 0, the odd ones u·v < 0. Shorter vectors are padded with zeros, which descent leaves alone.
    """
    rng = np.random.default_rng(seed)
    used = np.arange(largest_dim) < rng.integers(2, largest_dim + 1, size=count)[:, None]
    first, second = (np.where(used, rng.standard_normal((count, largest_dim)), 0.0) for _ in range(2))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second -= (second * first).sum(axis=1, keepdims=True) * first
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    angle = (rng.random(count) + np.arange(count) % 2) * np.pi / 2
    turned = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    lengths = np.exp(rng.uniform(np.log(0.1), np.log(longest), size=(2, count, 1)))
    return lengths[0] * first, lengths[1] * turned


def step_scope(*, starts: int = 1000, steps: int = 300, seed: int = 0) -> pd.DataFrame:
    """Random starts under steps from each of `BANDS`.

    Returns:
        One row for each band and start: opposed (u·v < 0), allowed (the step is at most `largest_step`), rises (the
        cosine never falls), falls (the loss never rises), settles (it does not rise again once it has fallen), blown,
        cosine (the last), formula (the largest gap to `cosine_of_ratio`).
    """
    u, v = random_pairs(starts, seed=seed)
    scale = np.exp((u * v).sum(axis=1))  # 1/L
    frames = []
    for number, (band, (low, high)) in enumerate(BANDS.items()):
        rng = np.random.default_rng([seed, number])
        step = np.exp(rng.uniform(np.log(low), np.log(high), size=starts)) * scale
        path = descend_pair(u, v, step=step, steps=steps)
        found = pd.DataFrame(
            {"opposed": (u * v).sum(axis=1) < 0, "allowed": step <= largest_step(u, v)} | _outcome(u, v, path)
        )
        frames.append(found.assign(band=band))
    return pd.concat(frames, ignore_index=True)


def scope_table(scope: pd.DataFrame) -> pd.DataFrame:
    """Counts of starts for each band of steps."""
    rows = []
    for band, part in scope.groupby("band", sort=False):
        rows.append(
            {
                "step × L at the start": band,
                "starts": len(part),
                "cosine never falls": int(part["rises"].sum()),
                "loss never rises": int(part["falls"].sum()),
                "step allowed": int(part["allowed"].sum()),
                "blown up": int(part["blown"].sum()),
                "median last cosine": part["cosine"].median(),
            }
        )
    return pd.DataFrame(rows).set_index("step × L at the start")


def opposite_starts(*, starts: int = 1000, steps: int = 200, seed: int = 1) -> pd.DataFrame:
    """The excluded case v0 = −u0, at steps of 0.5/L: cosine and loss at the end, the length left."""
    u, _ = random_pairs(starts, seed=seed, longest=1.0)
    path = descend_pair(u, -u, step=0.5 * np.exp(-(u**2).sum(axis=1)), steps=steps)
    return pd.DataFrame({"cosine": path.cosine[-1], "loss": np.exp(path.log_loss[-1]), "length": path.length[-1]})


def paths(*, starts: int = 4, steps: int = 1000, seed: int = 0) -> pd.DataFrame:
    """What the figure draws: some random starts with u·v < 0 at 0.05/L, and the start `STALL` at several steps.

    Returns:
        One row for each line and moment: panel, line, step, cosine, log_loss, finite.
    """
    u, v = (part[1::2] for part in random_pairs(2 * starts, seed=seed, longest=1.5))
    step = 0.05 * np.exp((u * v).sum(axis=1))
    names = [f"start {number + 1}" for number in range(starts)]
    frames = _lines("starts", names, descend_pair(u, v, step=step, steps=steps))
    multiples = (0.1, 0.9, 2.3, 2.5, 6.0)
    many = [np.tile(vector, (len(multiples), 1)) for vector in STALL]
    sizes = np.array(multiples) * np.exp((many[0] * many[1]).sum(axis=1))
    frames += _lines("steps", [f"{number:g}/L" for number in multiples], descend_pair(*many, step=sizes, steps=steps))
    return pd.concat(frames, ignore_index=True)


def claims(
    scope: pd.DataFrame | None = None,
    opposite: pd.DataFrame | None = None,
    orthogonal: pd.DataFrame | None = None,
    arms: pd.DataFrame | None = None,
    runs: Runs | None = None,
    training: pd.DataFrame | None = None,
    example: pd.DataFrame | None = None,
) -> list[Claim]:
    """The chapter's claims; a table that is not given is computed as the chapter computes it."""
    scope = step_scope() if scope is None else scope
    opposite = opposite_starts() if opposite is None else opposite
    arms = joint.broken_arms() if arms is None else arms
    return [
        _pair_claim(scope, opposite),
        _step_claim(scope),
        *joint.claims(orthogonal, arms),
        *generic.claims(arms, runs),
        *closeness.claims(training, example),
    ]


def _pair_claim(scope: pd.DataFrame, opposite: pd.DataFrame) -> Claim:
    """Theorem 12, under the paper's bound."""
    paper = scope[scope["band"] == next(iter(BANDS))]
    number = float((paper["rises"] & paper["falls"]).mean())
    control = float((opposite["cosine"] > 0).mean())
    verdict: Word = "holds in range" if number == 1 and control == 0 and paper["formula"].max() < 1e-9 else "different"
    return Claim(
        key="theorem-12",
        statement="two vectors trained on exp(−u·v) turn into one direction, their cosine rising at every step",
        source="paper, Theorem 12",
        hypotheses="u0 + v0 ≠ 0; step below 1/L(u0, v0)",
        verdict=verdict,
        measured=f"share of {len(paper)} random starts with rising cosine and falling loss, 300 steps",
        number=number,
        broken="u0 + v0 = 0: share of starts whose cosine gets above 0",
        control=control,
        where="alignment:thm-pair",
    )


def _step_claim(scope: pd.DataFrame) -> Claim:
    """Our sharp bound on the step."""
    allowed, above = scope[scope["allowed"]], scope[~scope["allowed"]]
    number = float((allowed["rises"] & allowed["falls"] & ~allowed["blown"]).mean())
    control = float(above["falls"].mean())
    verdict: Word = "new" if number == 1 and control == 0 and scope["rises"].all() else "different"
    return Claim(
        key="theorem-12-step",
        statement="the loss never rises iff the step is at most (|u0|² + |v0|²)/(−u0·v0 L0), or u0·v0 ≥ 0: "
        "2/L0 does for every start; the cosine rises at any step",
        source="ours",
        hypotheses="u0 + v0 ≠ 0",
        verdict=verdict,
        measured=f"share of {len(allowed)} starts with an allowed step whose loss never rises, 300 steps",
        number=number,
        broken=f"step above the bound: the same share of {len(above)} starts",
        control=control,
        where="alignment:thm-step",
    )


def settles(log_loss: Float[np.ndarray, "moments starts"]) -> Bool[np.ndarray, " starts"]:
    """Whether a loss never rises again once it has not risen in a step (part 3 of thm-step)."""
    fell = np.diff(log_loss, axis=0) <= TOLERANCE
    return np.asarray((np.maximum.accumulate(fell, axis=0) == fell).all(axis=0))


def _outcome(
    u: Float[np.ndarray, "starts dim"], v: Float[np.ndarray, "starts dim"], path: PairPath
) -> dict[str, object]:
    """What became of each start."""
    ratio, squared_sine = start_ratio(u, v)
    fell = np.diff(path.log_loss, axis=0) <= TOLERANCE
    formula = cosine_of_ratio(ratio_path(ratio, path.rate), np.broadcast_to(squared_sine, path.cosine.shape))
    return {
        "rises": (np.diff(path.cosine, axis=0) >= -ROUNDING).all(axis=0),
        "falls": path.finite & fell.all(axis=0),
        "settles": settles(path.log_loss),
        "blown": ~path.finite,
        "cosine": path.cosine[-1],
        "formula": np.abs(formula - path.cosine).max(axis=0),
    }


def _lines(panel: str, names: list[str], path: PairPath) -> list[pd.DataFrame]:
    """The rows of some lines of the figure; a line ends where its start has blown up."""
    frames = []
    for number, name in enumerate(names):
        last = int((path.log_loss[:, number] <= 300).sum())
        moments = np.arange(min(last + 1, len(path.cosine)))
        frames.append(
            pd.DataFrame(
                {
                    "panel": panel,
                    "line": name,
                    "step": moments,
                    "cosine": path.cosine[moments, number],
                    "log_loss": path.log_loss[moments, number],
                    "finite": bool(path.finite[number]),
                }
            )
        )
    return frames
