"""The layout that the kernels work on: contexts along lanes, in blocks; tokens and dimensions padded."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from linrep.contexts import UNKNOWN
from linrep.memory import require_memory
from linrep.population import Population

LANE = 32
"""Lanes come in multiples of this: four vectors of eight single-precision numbers."""

WIDTH = 128
"""Lanes in a block, about. Measured: from 64 to 512 makes less than a fifth of a difference at m = 6."""

CACHE = 2**17
"""Numbers of `e`, tokens x lanes, that a block may have at most, as long as it has `LANE` lanes."""


@dataclass(frozen=True)
class Blocks:
    """How contexts are cut into blocks of equal width."""

    contexts: int
    count: int
    width: int

    @classmethod
    def of(cls, contexts: int, tokens: int) -> "Blocks":
        """Blocks of about `WIDTH` lanes, narrower where there are many tokens."""
        target = max(LANE, min(WIDTH, CACHE // tokens))
        count = -(-contexts // target)
        return cls(contexts, count, _multiple(-(-contexts // count), LANE))

    def fold(
        self, rows: Shaped[np.ndarray, "*batch contexts"], fill: float
    ) -> Shaped[np.ndarray, "*batch blocks lanes"]:
        """Contexts along blocks and lanes; what is over gets `fill`."""
        folded = np.full((*rows.shape[:-1], self.count * self.width), fill, rows.dtype)
        folded[..., : self.contexts] = rows
        return folded.reshape(*rows.shape[:-1], self.count, self.width)

    def fold_table(
        self, table: Float[np.ndarray, "replicates contexts dim"]
    ) -> Float[np.ndarray, "replicates blocks rows lanes"]:
        """F as the kernels want it, an even number of dimensions."""
        padded = np.pad(table, ((0, 0), (0, 0), (0, table.shape[2] % 2)))
        return np.ascontiguousarray(self.fold(padded.transpose(0, 2, 1), 0).transpose(0, 2, 1, 3))

    def unfold_table(
        self, folded: Float[np.ndarray, "replicates blocks rows lanes"], dim: int
    ) -> Float[np.ndarray, "replicates contexts dim"]:
        """F as everybody else wants it."""
        rows = folded[:, :, :dim].transpose(0, 1, 3, 2).reshape(len(folded), -1, dim)
        return np.ascontiguousarray(rows[:, : self.contexts])


@dataclass(frozen=True, eq=False)
class World:
    """A population as the kernels read it; see `kernels.sweep`. Its size grows with contexts + tokens."""

    contexts: tuple[Int[np.ndarray, "blocks lanes"], Int[np.ndarray, "blocks lanes"], Float[np.ndarray, "blocks lanes"]]
    weights: Float[np.ndarray, "replicates blocks lanes"]
    joints: Float[np.ndarray, "replicates tokens"]
    codes: Int[np.ndarray, " tokens"]

    @classmethod
    def of(cls, population: Population, blocks: Blocks, dtype: np.dtype) -> "World":
        """The population in one precision."""
        replicates, m = population.replicates, population.concepts
        require_memory(
            dtype.itemsize * replicates * blocks.count * blocks.width, f"weights of {blocks.contexts} contexts"
        )
        place = 1 << np.arange(m, dtype=np.int64)
        known = (population.contexts != UNKNOWN) @ place
        value = (population.contexts == 1) @ place
        return cls(
            (
                blocks.fold(known.astype(np.int32), 0),
                blocks.fold(value.astype(np.int32), -1),  # a lane without context agrees with no token
                blocks.fold(population.mask_share.astype(dtype), 0),
            ),
            blocks.fold(population.weights.astype(dtype), 0),
            population.joint.astype(dtype),
            (population.tokens.astype(np.int64) @ place).astype(np.int32),
        )


def pad_table(table: Float[np.ndarray, "replicates tokens dim"]) -> Float[np.ndarray, "replicates rows columns"]:
    """G with zero rows up to a multiple of 4 and an even number of columns."""
    _, tokens, dim = table.shape
    return np.ascontiguousarray(np.pad(table, ((0, 0), (0, -tokens % 4), (0, dim % 2))))


def _multiple(number: int, of: int) -> int:
    """The next multiple."""
    return -(-number // of) * of
