"""Trained tables on disk: F, G and their world, in one safetensors file that needs no linrep to be read."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from linrep.errors import InputError
from linrep.files import replacing
from linrep.pilot import Batch
from linrep.population import Population
from linrep.simulate import Simulation

_WORLD = ("contexts", "tokens", "masks", "joint")


def save_tables(simulation: Simulation, path: Path) -> None:
    """Write F, G and the world of every run.

    A complete simulation holds `F` (replicates, contexts, dim), `G` (replicates, tokens, dim), `contexts`, `tokens`,
    `masks`, `joint` and `seeds`, and `mask_probability` where the masks are not equally likely; on incomplete sets,
    where shapes differ, each name ends in `.0`, `.1`, ... for each seed. The metadata holds the setting and the graphs
    (parents and tables) as JSON.

    Raises:
        LinrepError: the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for index, run in enumerate(simulation.runs):
        suffix = "" if len(simulation.runs) == 1 else f".{index}"
        for name in (*_WORLD, "mask_probability"):
            if (values := getattr(run.batch.population, name)) is not None:
                tensors[name + suffix] = torch.from_numpy(np.ascontiguousarray(values)).clone()
        tensors["F" + suffix] = run.trained.embedding.cpu().contiguous()
        tensors["G" + suffix] = run.trained.unembedding.cpu().contiguous()
        tensors["seeds" + suffix] = torch.tensor(run.batch.seeds)
    graphs = [simulation.setting.world(seed).to_dict() for seed in simulation.seeds]
    metadata = {"setting": json.dumps(simulation.setting.to_dict()), "graphs": json.dumps(graphs)}
    with replacing(path) as part:
        save_file(tensors, part, metadata=metadata)


def load_tables(path: Path) -> list[Batch]:
    """The runs of a saved simulation: each with its population, its trained (F, G) as `start`, and its seeds.

    Raises:
        InputError: a file that is missing or was not written by `save_tables`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        suffixes = sorted(
            {name[1:] for name in tensors if name.startswith("F")}, key=lambda suffix: int(suffix[1:] or 0)
        )
        return [_batch(tensors, suffix) for suffix in suffixes]
    except FileNotFoundError:
        raise InputError(f"no file {path}") from None
    except (SafetensorError, KeyError, ValueError, OSError):
        raise InputError(f"{path} does not hold saved tables: need a file that --save wrote") from None


def _batch(tensors: dict[str, Tensor], suffix: str) -> Batch:
    """One run of the file."""
    population = Population(*(tensors[name + suffix].numpy() for name in _WORLD))
    if (unequal := tensors.get("mask_probability" + suffix)) is not None:
        population = replace(population, mask_probability=unequal.numpy())
    seeds = tuple(tensors["seeds" + suffix].tolist())
    return Batch(population, (tensors["F" + suffix], tensors["G" + suffix]), seeds)
