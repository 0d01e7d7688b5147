"""Taking steps: gradient descent on the exact loss, SGD and Adam on minibatches, in plain torch.

This is the reference, for every device and every loss; `linrep.engine` is the same, compiled, for the CPU and the
cross-entropy of a population.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.loss import Loss
from linrep.minibatches import Minibatches, Sampled, minibatch_gradient
from linrep.population import Population
from linrep.start import Tables


@runtime_checkable
class Stepper(Protocol):
    """Tables in training."""

    def advance(self, steps: int) -> Float[Tensor, "steps replicates"]:
        """Take steps; the loss that each saw before it, nats: the exact one (gd), or that of its minibatch."""
        ...

    def tables(self) -> Tables:
        """F and G as they now are. Not to be written to."""
        ...

    def value(self) -> Float[Tensor, " replicates"]:
        """The exact loss now, nats."""
        ...


class TorchDescent:
    """Gradient descent on an exact loss. With biases, a shift of all rows of F is one more parameter.

    Its gradient is the sum of F's over the contexts; G's bias moves nothing, since the rows of dL/d(logits) sum to 0.
    """

    def __init__(self, start: Tables, loss: Loss, *, step_size: float, biases: bool) -> None:
        self._tables = (start[0].clone(), start[1].clone())
        self._loss, self._step_size, self._biases = loss, step_size, biases

    def advance(self, steps: int) -> Float[Tensor, "steps replicates"]:
        """Take steps."""
        return torch.stack([self._step() for _ in range(steps)])

    def tables(self) -> Tables:
        """F and G."""
        return self._tables

    def value(self) -> Float[Tensor, " replicates"]:
        """The exact loss."""
        return self._loss.value_and_gradient(self._tables)[0]

    def _step(self) -> Float[Tensor, " replicates"]:
        value, (of_embedding, of_unembedding) = self._loss.value_and_gradient(self._tables)
        if self._biases:
            of_embedding = of_embedding + of_embedding.sum(dim=1, keepdim=True)
        self._tables[0].sub_(of_embedding, alpha=self._step_size)
        self._tables[1].sub_(of_unembedding, alpha=self._step_size)
        return value


class TorchSampled:
    """SGD, or Adam (betas .9 and .999, epsilon 1e-8), on minibatches; the exact loss is only for `value`."""

    def __init__(self, population: Population, start: Tables, loss: Loss, how: Sampled) -> None:
        self._rows, self._unembedding = start[0].clone(), start[1].clone()
        self._bias = torch.zeros_like(start[0][:, :1])
        self._batches = Minibatches(population, seeds=how.seeds, batch=how.batch, device=str(start[0].device))
        parameters = [self._rows, self._unembedding, *([self._bias] if how.biases else [])]
        self._loss, self._biases = loss, how.biases
        make = torch.optim.Adam if how.adam else torch.optim.SGD
        self._optimizer: torch.optim.Optimizer = make(parameters, lr=how.step_size)

    def advance(self, steps: int) -> Float[Tensor, "steps replicates"]:
        """Take steps."""
        return torch.stack([self._step() for _ in range(steps)])

    def tables(self) -> Tables:
        """F, with its bias, and G."""
        return self._rows + self._bias, self._unembedding

    def value(self) -> Float[Tensor, " replicates"]:
        """The exact loss."""
        return self._loss.value_and_gradient(self.tables())[0]

    def _step(self) -> Float[Tensor, " replicates"]:
        contexts, tokens = self._batches.next()
        value, rows, gradient = minibatch_gradient(self.tables(), contexts, tokens)
        places = contexts.unsqueeze(-1).expand_as(rows)
        self._rows.grad = torch.zeros_like(self._rows).scatter_add_(1, places, rows)
        self._unembedding.grad = gradient
        if self._biases:
            self._bias.grad = rows.sum(dim=1, keepdim=True)
        self._optimizer.step()
        return value
