"""A simulation's setting: everything it depends on but its seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from linrep.concepts import ConceptGraph, check_world
from linrep.engine.choice import Engine, compiled
from linrep.errors import InputError
from linrep.masks import MaskLaw, check_mask_law
from linrep.start import check_start
from linrep.train import Optimizer, TrainConfig, check_training


@dataclass(frozen=True)
class Setting:
    """Everything a simulation depends on but its seeds; None is "by the rule" or "all".

    Attributes:
        concepts: m. dim: k, the size of the space; None for m.
        edges: probability of each edge of the random DAG. prob: range of the Bernoulli parameters (paper: 0.3 to 0.7).
        optimizer: gd is descent on the exact loss; sgd and adam draw minibatches of `batch` pairs.
        init_scale: S for a start from N(0, S²); None for the linear start.
        biases: whether f and g have biases, as a linear layer has by default; with the linear start only.
        masks, tokens: how many masks and tokens are trained on; None for all.
        mask_law: how masks are drawn: in training, or with a number of masks, which of them are kept.
        engine: how steps are computed: "numba", "torch", or "auto", compiled where that is possible.
        graph: a world of the user's own, the same for every seed; edges and prob are then unused.
    """

    concepts: int = 3
    dim: int | None = None
    edges: float = 0.5
    prob: tuple[float, float] = (0.3, 0.7)
    optimizer: Optimizer = "gd"
    step_size: float | None = None
    steps: int | None = None
    batch: int = 100
    init_scale: float | None = None
    biases: bool = False
    masks: int | None = None
    tokens: int | None = None
    mask_law: MaskLaw = "fair"
    dtype: Literal["float32", "float64"] = "float64"
    device: str = "cpu"
    engine: Engine = "auto"
    graph: ConceptGraph | None = None

    def __post_init__(self) -> None:
        """Refuse values that are not allowed, before any work."""
        check_world(self.concepts, self.edges, self.prob)
        if self.concepts < 2:
            raise InputError(f"concepts is {self.concepts}; a mean cosine between steering vectors needs 2 or more")
        if self.graph is not None and self.graph.concepts != self.concepts:
            raise InputError(f"the graph has {self.graph.concepts} concepts, but concepts is {self.concepts}")
        if self.dtype not in ("float32", "float64"):
            raise InputError(f"dtype is {self.dtype!r}; allowed are float32, float64")
        check_training(self.optimizer, self.step_size, self.steps, self.batch)
        check_start(self.width, self.init_scale, biases=self.biases)
        check_mask_law(self.mask_law)
        check_device(self.device)
        compiled(self.engine, device=self.device)

    @property
    def width(self) -> int:
        """k, the dimension of the space."""
        return self.concepts if self.dim is None else self.dim

    @property
    def complete(self) -> bool:
        """Whether every mask and every token is trained on."""
        return self.masks is None and self.tokens is None

    def world(self, seed: int) -> ConceptGraph:
        """The world of one seed."""
        if self.graph is not None:
            return self.graph
        return ConceptGraph.random(self.concepts, edges=self.edges, prob=self.prob, seed=seed)

    def training(self, step_size: float, steps: int) -> TrainConfig:
        """How the setting is trained at a pace."""
        return TrainConfig(step_size, steps, self.optimizer, self.batch, self.biases)

    def to_dict(self) -> dict[str, Any]:
        """The settings, JSON-ready."""
        plain = {name: value for name, value in vars(self).items() if name != "graph"}
        graph = None if self.graph is None else self.graph.to_dict()
        return plain | {"dim": self.width, "prob": list(self.prob), "graph": graph}


def check_device(device: str, *, also: Sequence[str] = ()) -> None:
    """Refuse a device that is neither the CPU nor a CUDA device of this machine, nor one of those `also` allowed.

    Raises:
        InputError: names the device and what is allowed.
    """
    allowed = ["cpu"]
    if torch.cuda.is_available():
        allowed += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    allowed += also
    if device not in allowed:
        raise InputError(f"device is {device!r}; on this machine allowed are: {', '.join(allowed)}")
