"""Eight words growing from noise: the unembeddings of three fair coins along training, with three coordinates a word.

In a space of more than three dimensions a picture has to leave something out. Axis i of ours is b_i + b_jk of the final
table (`linrep.spectrum`), made orthonormal: the direction of concept i, and beside it what the other two concepts hold
only together. What is linear is a box on such axes, and what is not bends it. The picture is an orthogonal projection,
the same at all clocks, by the same rule in every space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.history import follow
from linrep.linearity import measure
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.spectrum import walsh
from linrep.start import Tables

CONCEPTS = ("male ⇒ female", "common ⇒ royal", "singular ⇒ plural")
WORDS = {
    (0, 0, 0): "man", (1, 0, 0): "woman", (0, 1, 0): "king", (1, 1, 0): "queen",
    (0, 0, 1): "men", (1, 0, 1): "women", (0, 1, 1): "kings", (1, 1, 1): "queens",
}  # fmt: skip
"""A name for each token, to be looked at: the world knows nothing of kings."""

STEPS, FRAMES = 1000, 48


@dataclass(frozen=True, eq=False)
class Growth:
    """One run, frame by frame.

    Attributes:
        clocks: of the frames, the start first.
        kl: KL divergence, nats. linearity: U.
        points: three coordinates of each word, in units of the largest distance from the middle at the end.
        tokens: the concepts of each word. pairs: for each concept the words that its steering vectors join.
    """

    clocks: Int[np.ndarray, " frames"]
    kl: Float[np.ndarray, " frames"]
    linearity: Float[np.ndarray, " frames"]
    points: Float[np.ndarray, "frames tokens 3"]
    tokens: Int[np.ndarray, "tokens 3"]
    pairs: Sequence[Int[np.ndarray, "_ 2"]]

    @property
    def names(self) -> list[str]:
        """The word of each token."""
        return [WORDS[row[0], row[1], row[2]] for row in self.tokens.tolist()]


def growth(dim: int, *, seed: int = 0, steps: int = STEPS, frames: int = FRAMES) -> Growth:
    """Three independent fair coins in `dim` dimensions from N(0, 0.1²), in steps of 1.

    Args:
        frames: how many clocks are looked at besides the start, evenly in the logarithm; fewer where they coincide.
    """
    setting = Setting(concepts=3, dim=dim, edges=0, prob=(0.5, 0.5), init_scale=0.1)
    (batch,) = make_batches(setting, (seed,))
    marks = [0, *sorted({round(mark) for mark in np.geomspace(1, steps, frames)})]
    tables: list[Float[Tensor, "tokens dim"]] = []

    def look(_: int, now: Tables) -> dict[str, Float[np.ndarray, " replicates"]]:
        tables.append(now[1][0].clone())
        return {"U": measure(batch.population, now).per_replicate()["unembedding"]}

    config = setting.training(1.0, steps)
    _, rows = follow(batch, config, {mark: float(mark) for mark in marks}, look)
    tokens = batch.population.tokens
    course = torch.stack(tables).double()
    points = (course - course.mean(dim=1, keepdim=True)) @ axes(course[-1], tokens)
    size = points[-1].norm(dim=-1).max()
    return Growth(
        clocks=np.array(marks), kl=rows["kl"].to_numpy(), linearity=rows["U"].to_numpy(),
        points=(points / size).numpy(), tokens=tokens, pairs=batch.population.token_pairs,
    )  # fmt: skip


def axes(table: Float[Tensor, "tokens dim"], tokens: Int[np.ndarray, "tokens 3"]) -> Float[Tensor, "dim 3"]:
    """Orthonormal axes nearest to b_i + b_jk of each concept i, {i, j, k} = {1, 2, 3}; concept i grows along axis i."""
    functions, degree = walsh(tokens)
    coefficients = functions @ table / len(tokens)
    toward = []
    for concept in range(3):
        own = (degree == 1) & (tokens[:, concept] == 1)
        rest = (degree == 2) & (tokens[:, concept] == 0)
        toward.append(coefficients[torch.from_numpy(own | rest)].sum(dim=0))
    left, _, right = torch.linalg.svd(torch.stack(toward, dim=1), full_matrices=False)
    nearest: Float[Tensor, "dim 3"] = left @ right
    return nearest
