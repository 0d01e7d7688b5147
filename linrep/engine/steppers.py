"""The compiled steppers: replicates are shared out to as many threads as torch uses, each in one compiled call.

A single world that is large is shared out by its contexts instead.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.engine import kernels
from linrep.engine.lanes import Blocks, World, pad_table
from linrep.minibatches import Draws, Numbers, Sampled
from linrep.population import Population
from linrep.start import Tables

SHARED = 10**6
"""Logits a step from which fewer worlds than threads are shared out by contexts: below, the meeting of the threads at
every step, about a tenth of a millisecond, costs more than it saves."""


class _Exact:
    """F and G in the kernels' layout, with the exact loss."""

    def __init__(self, population: Population, start: Tables, *, biases: bool) -> None:
        self.dtype, self._dim = start[0].numpy().dtype, start[0].shape[2]
        self.blocks = Blocks.of(len(population.contexts), len(population.tokens))
        self.world = World.of(population, self.blocks, self.dtype)
        self._tokens, self._biases = len(population.tokens), biases
        self.put(start)

    def put(self, tables: Tables) -> None:
        """Take these tables."""
        self._F, self._G = self.blocks.fold_table(tables[0].numpy()), pad_table(tables[1].numpy())

    def get(self) -> Tables:
        """F and G as torch has them."""
        unembedding = np.ascontiguousarray(self._G[:, : self._tokens, : self._dim])
        return torch.from_numpy(self.blocks.unfold_table(self._F, self._dim)), torch.from_numpy(unembedding)

    def descend(self, steps: int, step_size: float) -> Float[Tensor, "steps replicates"]:
        """Steps of gradient descent; the exact loss before each. With step size 0, the loss alone."""
        losses, rate = np.empty((steps, len(self._F))), self.dtype.type(step_size)
        logits = self.blocks.contexts * self._tokens
        if len(self._F) >= torch.get_num_threads() or logits < SHARED:
            self._by_replicates(losses, rate)
        else:
            for replicate in range(len(self._F)):
                for step in range(steps):
                    losses[step, replicate] = self._by_contexts(replicate, rate)
        return torch.from_numpy(losses.astype(self.dtype))

    def _by_replicates(self, losses: Float[np.ndarray, "steps replicates"], rate: np.floating) -> None:
        world, limit = self.world, self.dtype.type(kernels.NEAR[self.dtype])

        def part(first: int, last: int) -> None:
            kernels.descend(
                self._F, self._G, world.contexts, world.weights, world.joints, world.codes,
                rate, self._biases, self._dim, first, last, limit, losses,
            )  # fmt: skip

        share_out(part, len(self._F))

    def _by_contexts(self, replicate: int, rate: np.floating) -> float:
        """One step for one replicate, its blocks shared out."""
        world, limit = self.world, self.dtype.type(kernels.NEAR[self.dtype])
        F, G, width = self._F[replicate], self._G[replicate], self.blocks.width
        found = []

        def part(first: int, last: int) -> None:
            work = kernels.workspace(self._dim, G, width)
            loss = kernels.sweep(
                F, G, world.contexts, world.weights[replicate], world.joints[replicate], world.codes,
                rate, first, last, limit, work,
            )  # fmt: skip
            found.append((first, loss, work[4], work[5]))

        share_out(part, self.blocks.count)
        found.sort(key=lambda each: each[0])  # one order of summation
        kernels.settle(F, G, sum(each[2] for each in found), sum(each[3] for each in found), rate, self._biases)
        return float(sum(each[1] for each in found))


class FusedDescent:
    """Gradient descent on the exact cross-entropy of a population."""

    def __init__(self, population: Population, start: Tables, *, step_size: float, biases: bool) -> None:
        self._exact, self._step_size = _Exact(population, start, biases=biases), step_size

    def advance(self, steps: int) -> Float[Tensor, "steps replicates"]:
        """Take steps."""
        return self._exact.descend(steps, self._step_size)

    def tables(self) -> Tables:
        """F and G."""
        return self._exact.get()

    def value(self) -> Float[Tensor, " replicates"]:
        """The exact loss."""
        return self._exact.descend(1, 0.0)[0]


class FusedSampled:
    """SGD or Adam on minibatches, the same draws as the reference's."""

    def __init__(self, population: Population, start: Tables, how: Sampled) -> None:
        self._population, self._dim = population, start[0].shape[2]
        self._F, self._G = start[0].numpy().copy(), pad_table(start[1].numpy())
        self._bias = np.zeros((len(self._F), self._dim), self._F.dtype)
        self._draws = Draws(population, seeds=how.seeds, batch=how.batch)
        self._guides = [guide(row) for row in self._draws.cumulative]
        self._ready: list[Numbers | None] = [None] * len(self._F)
        self._moments = [_moments(self._F[0], self._bias[0], self._G[0]) for _ in how.seeds] if how.adam else []
        self._taken, self._how = 0, how
        self._exact: _Exact | None = None

    def advance(self, steps: int) -> Float[Tensor, "steps replicates"]:
        """Take steps."""
        losses = np.empty((len(self._F), steps))

        def part(first: int, last: int) -> None:
            for replicate in range(first, last):
                self._run(replicate, losses[replicate])

        share_out(part, len(self._F))
        self._taken += steps
        return torch.from_numpy(losses.T.astype(self._F.dtype))

    def tables(self) -> Tables:
        """F, with its bias, and G."""
        tokens = len(self._population.tokens)
        unembedding = np.ascontiguousarray(self._G[:, :tokens, : self._dim])
        return torch.from_numpy(self._F + self._bias[:, None]), torch.from_numpy(unembedding)

    def value(self) -> Float[Tensor, " replicates"]:
        """The exact loss."""
        if self._exact is None:
            self._exact = _Exact(self._population, self.tables(), biases=False)
        self._exact.put(self.tables())
        return self._exact.descend(1, 0.0)[0]

    def _run(self, replicate: int, losses: Float[np.ndarray, " steps"]) -> None:
        """All steps of one replicate, chunk of draws by chunk."""
        done = 0
        while done < len(losses):
            numbers = self._ready[replicate]
            if numbers is None or not len(numbers[0]):
                numbers = self._draws.next(replicate)
            count = min(len(losses) - done, len(numbers[0]))
            self._steps(
                replicate, (numbers[0][:count], numbers[1][:count]), self._taken + done, losses[done : done + count]
            )
            self._ready[replicate] = (numbers[0][count:], numbers[1][count:])
            done += count

    def _steps(self, replicate: int, numbers: Numbers, taken: int, losses: Float[np.ndarray, " steps"]) -> None:
        F, bias, G = self._F[replicate], self._bias[replicate], self._G[replicate]
        draws = (numbers, self._draws.position, self._draws.cumulative[replicate], self._guides[replicate])
        rate, limit = F.dtype.type(self._how.step_size), F.dtype.type(kernels.NEAR[F.dtype])
        tail = (len(self._population.tokens), rate, self._how.biases, limit, losses)
        if self._moments:
            kernels.adam(F, bias, G, self._moments[replicate], taken, *draws, *tail)
        else:
            kernels.sgd(F, bias, G, *draws, *tail)


def share_out(part: Callable[[int, int], None], count: int) -> None:
    """Call part(first, last) for contiguous shares of range(count), one for each of torch's threads."""
    shares = np.array_split(np.arange(count), min(count, torch.get_num_threads()))
    if len(shares) == 1:
        part(0, count)
        return
    with ThreadPoolExecutor(len(shares)) as pool:
        list(pool.map(lambda share: part(int(share[0]), int(share[-1]) + 1), shares))


def guide(cumulative: Float[np.ndarray, " tokens"]) -> Int[np.ndarray, " cells"]:
    """Where to begin the search for a uniform number, by the cell it falls into: four or more a token.

    Their number is a power of 2, so that no rounding moves a number to the next cell.
    """
    cells = 4 << (len(cumulative) - 1).bit_length()
    return np.minimum(np.searchsorted(cumulative, np.arange(cells) / cells, side="right"), len(cumulative) - 1)


def _moments(*tables: Float[np.ndarray, "..."]) -> tuple[Float[np.ndarray, " numbers"], ...]:
    """Adam's first and second moments of each table, flat, zero."""
    return tuple(np.zeros(table.size, table.dtype) for table in tables for _ in range(2))
