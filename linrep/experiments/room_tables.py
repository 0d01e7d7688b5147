"""The paper's model on a real model's predictions: free tables F and G fitted to them, in k dimensions (ours).

A row of F for each of linrep's contexts, a row of G for each word; descent on the exact cross-entropy, in single
precision, by the step rule of `room_rules`. Clock: step size times steps, with contexts equally weighted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import DivergenceError, LinrepError
from linrep.llm.head import output_matrix
from linrep.llm.network import LanguageModel
from linrep.loss import PopulationLoss
from linrep.start import Tables, initial_tables
from linrep.steppers import TorchDescent
from linrep.train import RISE

BLOCK = 50
"""Steps between two looks at the losses."""

FIRST = 100
"""Steps in which the loss has to fall for a step size to pass."""

GRID = tuple(2.0**power for power in range(12, -6, -1))
"""Step sizes, 4,096 to 1/32."""

HALVINGS = 3


@dataclass(frozen=True, eq=False)
class Fitted:
    """Tables after descent.

    Attributes:
        kl: Σ_d p(d) KL(p ‖ p̂), nats, at each mark. tables: G at each mark, in the order of the marks.
        step_size, steps: as taken. monotone: whether the loss never rose.
    """

    kl: tuple[float, ...]
    tables: tuple[Float[Tensor, "words dim"], ...]
    step_size: float
    steps: int
    monotone: bool


@torch.inference_mode()
def word_predictions(
    model: LanguageModel, states: Float[Tensor, "texts dim"], ids: Int[np.ndarray, " words"]
) -> Float[Tensor, "texts words"]:
    """The model's next-token probabilities of some words, renormalised among them; float64."""
    weight, bias = output_matrix(model.network)
    chosen = torch.from_numpy(ids)
    logits = model.head.logits(states, weight[chosen], None if bias is None else bias[chosen])
    return torch.softmax(logits.double().cpu(), dim=-1)


def loss_of(target: Float[Tensor, "texts words"]) -> PopulationLoss:
    """The cross-entropy of a table of p(word given context), contexts equally weighted, in single precision."""
    texts = len(target)
    weights = torch.full((1, texts), 1 / texts)
    return PopulationLoss(weights, (target / texts).float()[None])


def entropy(target: Float[Tensor, "texts words"]) -> float:
    """The floor of the loss, nats: the mean entropy of the rows."""
    return float(-torch.xlogy(target, target).sum(dim=-1).mean())


def start_of(target: Float[Tensor, "texts words"], dim: int, scale: float, seed: int) -> Tables:
    """F and G from N(0, S²), float32."""
    return initial_tables(target.shape[0], target.shape[1], dim, seeds=[seed], init_scale=scale, dtype=torch.float32)


def shared_step(target: Float[Tensor, "texts words"], dims: Sequence[int], *, scale: float, seed: int = 0) -> float:
    """The largest step of the grid at which the loss falls in each of the first steps, in each of these dimensions.

    Raises:
        LinrepError: none of the grid does.
    """
    loss = loss_of(target)
    starts = [start_of(target, dim, scale, seed) for dim in dims]
    for step_size in GRID:
        if all(_falls(start, loss, step_size) for start in starts):
            return step_size
    raise LinrepError(f"no step size from {GRID[0]:g} to {GRID[-1]:g} lets the loss fall in {FIRST} steps")


def fit(
    target: Float[Tensor, "texts words"],
    dim: int,
    *,
    scale: float,
    step_size: float,
    steps: int,
    marks: Sequence[int] = (),
    seed: int = 0,
) -> Fitted:
    """Tables at the clock step_size·steps: at the step given, or at a half, quarter or eighth of it if the loss rises.

    Args:
        marks: steps, at the step size given, after which the tables are looked at; the end is added.

    Raises:
        DivergenceError: the loss is no longer finite at the smallest of them.
    """
    every = sorted({mark for mark in marks if 0 < mark < steps} | {steps})
    found = None
    for halving in range(HALVINGS + 1):
        try:
            found = _descend(target, dim, scale, step_size, every, seed, parts=2**halving)
        except DivergenceError:
            if halving == HALVINGS:
                raise
            continue
        if found.monotone:
            return found
    assert found is not None  # the last halving either diverged, which is raised, or is here
    return found


def _descend(
    target: Float[Tensor, "texts words"], dim: int, scale: float, step_size: float, marks: Sequence[int], seed: int,
    *, parts: int,
) -> Fitted:  # fmt: skip
    """Descent with every step cut into parts; ends early when the loss rises and the step may still be halved."""
    stepper = TorchDescent(
        start_of(target, dim, scale, seed), loss_of(target), step_size=step_size / parts, biases=False
    )
    floor, taken, last = entropy(target), 0, float("inf")
    kl, tables, monotone = [], [], True
    for mark in marks:
        while taken < mark * parts:
            count = min(BLOCK, mark * parts - taken)
            losses = stepper.advance(count)[:, 0].double()
            if not bool(torch.isfinite(losses).all()):
                raise DivergenceError(
                    f"k = {dim}: the fit diverged after step {taken} with step size {step_size / parts:g}; "
                    f"try step size {step_size / parts / 2:g}"
                )
            series = torch.cat([torch.tensor([last], dtype=torch.float64), losses])
            monotone &= bool((series[1:] <= series[:-1] * (1 + RISE[torch.float32])).all())
            last, taken = float(losses[-1]), taken + count
            if not monotone and parts < 2**HALVINGS:
                return Fitted((), (), step_size / parts, taken, False)
        kl.append(float(stepper.value()[0]) - floor)
        tables.append(stepper.tables()[1][0].clone())
    return Fitted(tuple(kl), tuple(tables), step_size / parts, taken, monotone)


def _falls(start: Tables, loss: PopulationLoss, step_size: float) -> bool:
    """Whether the loss falls in each of the first steps."""
    stepper = TorchDescent(start, loss, step_size=step_size, biases=False)
    last = float("inf")
    for _ in range(FIRST // 10):
        losses = stepper.advance(10)[:, 0].double()
        series = torch.cat([torch.tensor([last], dtype=torch.float64), losses])
        if not bool((series[1:] < series[:-1]).all()):
            return False
        last = float(losses[-1])
    return True
