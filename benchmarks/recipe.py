"""The paper's recipe as a user of PyTorch would write it: one run, two embeddings, cross-entropy, SGD. The baseline."""

import numpy as np
import torch
from torch import nn

from linrep.concepts import ConceptGraph
from linrep.population import complete_population
from linrep.start import initial_tables

BATCH, RATE = 100, 0.1


class Recipe:
    """One world in training."""

    def __init__(self, m: int, *, seed: int) -> None:
        graph = ConceptGraph.random(m, seed=seed)
        self.population = complete_population([graph])
        self._p = torch.from_numpy(self.population.joint[0])
        self._concepts = torch.from_numpy(self.population.tokens.astype(np.int64))
        self._places = 3 ** torch.arange(m - 1, -1, -1)
        start = initial_tables(3**m, 2**m, m, seeds=[seed], dtype=torch.float32)
        self.contexts = nn.Embedding.from_pretrained(start[0][0].clone(), freeze=False)
        self.tokens = nn.Embedding.from_pretrained(start[1][0].clone(), freeze=False)
        parameters = [*self.contexts.parameters(), *self.tokens.parameters()]
        self._optimizer = torch.optim.SGD(parameters, lr=RATE)
        self._generator = torch.Generator().manual_seed(seed)

    def train(self, steps: int) -> None:
        """Steps of SGD, each on a fresh batch."""
        for _ in range(steps):
            token = torch.multinomial(self._p, BATCH, replacement=True, generator=self._generator)
            concepts = self._concepts[token]
            known = torch.rand(concepts.shape, generator=self._generator) < 0.5
            context = ((torch.where(known, concepts, -1) + 1) * self._places).sum(dim=1)
            loss = nn.functional.cross_entropy(self.contexts(context) @ self.tokens.weight.T, token)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
