"""The arms of the late phase: their worlds, their contexts and their starts."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from linrep.contexts import context_keys, masked_contexts
from linrep.errors import InputError
from linrep.experiments.late_phase_parts import with_interactions
from linrep.pilot import Batch
from linrep.population import Population
from linrep.setting import Setting
from linrep.simulate import make_batches

STARTS = {"linear": None, "small": 0.01}
"""The starts: uniform as in a linear layer, and N(0, 0.01²)."""

DOSES = (0.0, 0.5, 1.0, 2.0)
"""By how much the interactions of a world are multiplied, m = 3, small start; 1 is the world itself."""

WORLDS = {"dependent": 0.5, "without edges": 0.0}
"""The probability of an edge in the worlds of the arms."""

LEFT_OUT = {"no empty context": 0, "no full contexts": -1}
"""Arms with the dependent worlds but without one mask: that of the context which knows nothing, or of those which know
all. Small start, m = 3 and 4."""


def arms(seeds: dict[int, int], horizon: int) -> dict[str, dict[str, Any]]:
    """Every arm by name, as the arguments of `late_phase.arm` but its step size.

    Dependent and independent worlds from both starts; three and four concepts also without a mask, three also with
    other doses and in k = m + 1 dimensions.
    """
    found: dict[str, dict[str, Any]] = {}
    for m, count in seeds.items():
        given: dict[str, Any] = {"m": m, "seeds": count, "clock": horizon}
        named = [given | {"start": start, "world": world} for start in STARTS for world in WORLDS]
        if m <= 4:
            named += [given | {"start": "small", "world": world} for world in LEFT_OUT]
        if m == 3:
            named += [given | {"start": "small", "world": f"dose {dose:g}"} for dose in DOSES if dose != 1]
            named += [given | {"start": "small", "world": world, "spare": 1} for world in WORLDS]
        found |= {arm_name(each["m"], each["start"], each["world"], each.get("spare", 0)): each for each in named}
    return found


def arm_name(m: int, start: str, world: str, spare: int = 0) -> str:
    """What an arm is called in the record; spare is k − m."""
    return f"m = {m}, {start} start, {world}" + (f", k = {m + spare}" if spare else "")


def batch_of(m: int, start: str, world: str, seeds: range, *, spare: int = 0) -> Batch:
    """Worlds and starts of an arm: of `WORLDS`, "dose D" of the dependent worlds, or these with a mask `LEFT_OUT`.

    Args:
        spare: k − m.

    Raises:
        InputError: a start or a world that there is not.
    """
    doses = {f"dose {dose:g}": dose for dose in DOSES}
    if start not in STARTS:
        raise InputError(f"start is {start!r}; allowed are {', '.join(STARTS)}")
    if world not in (allowed := [*WORLDS, *doses, *LEFT_OUT]):
        raise InputError(f"world is {world!r}; allowed are {', '.join(allowed)}")
    setting = Setting(concepts=m, dim=m + spare, edges=WORLDS.get(world, 0.5), init_scale=STARTS[start])
    (batch,) = make_batches(setting, seeds)
    if world in doses:
        return replace(batch, population=with_interactions(batch.population, doses[world]))
    return without_mask(batch, LEFT_OUT[world]) if world in LEFT_OUT else batch


def without_mask(batch: Batch, place: int) -> Batch:
    """A batch of complete sets less one of its masks."""
    return with_masks(batch, np.delete(batch.population.masks, place, axis=0))


def with_masks(batch: Batch, masks: Int[np.ndarray, "masks concepts"]) -> Batch:
    """A batch of complete sets with some of its masks, each drawn as often; each context keeps its start."""
    tokens = batch.population.tokens
    contexts = masked_contexts(masks, tokens)
    rows = torch.from_numpy(context_keys(contexts))
    left = Population(contexts, tokens, masks, batch.population.joint)
    return Batch(left, (batch.start[0][:, rows].contiguous(), batch.start[1]), batch.seeds)
