"""Hidden states: the vector at the last real token of each context, in batches, of the last layer or of all.

A causal model does not see what comes later, so that contexts are padded on the right: positions stay those of the
context alone, and the padding, masked besides, changes nothing. Contexts of similar length share a batch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from linrep.errors import InputError, LinrepError

Layers = bool | Sequence[int] | None
"""True for all, a list for some, None or False for the last alone."""

SHOW_AFTER = 2.0
"""Seconds of work before a progress bar is shown."""


def layer_count(network: Any) -> int:
    """L + 1, for a model of L blocks: layer 0 is the token embeddings, layer l the output of block l.

    Layer L is after the final norm, as transformers gives it: it is the vector that meets the output matrix.
    """
    return int(network.config.get_text_config().num_hidden_layers) + 1


def input_device(network: Any) -> torch.device:
    """Where token ids go; a network whose parts are loaded when it is their turn takes them from the CPU."""
    device: torch.device = network.get_input_embeddings().weight.device
    return torch.device("cpu") if device.type == "meta" else device


def chosen_layers(network: Any, layers: Layers) -> list[int] | None:
    """The layers asked for as numbers from 0; None when only the last is wanted.

    Raises:
        InputError: an empty list, or a layer that the model does not have.
    """
    if layers is None or layers is False:
        return None
    count = layer_count(network)
    asked = list(range(count)) if layers is True else list(layers)
    if not asked or not all(-count <= layer < count for layer in asked):
        raise InputError(f"layers is {asked}; allowed are numbers from 0 (the token embeddings) to {count - 1}")
    return [layer % count for layer in asked]


@torch.inference_mode()
def last_states(
    network: Any,
    ids: Sequence[Sequence[int]],
    *,
    batch: int,
    layers: Sequence[int] | None = None,
    norm: Any = None,
    name: str = "model",
    progress: bool = True,
) -> Float[Tensor, "*layers texts dim"]:
    """The state at the last token of each context, in the order given.

    Args:
        network: a causal model of transformers, in evaluation mode.
        ids: the tokens of each context, at least one.
        batch: contexts in one pass.
        layers: without it only the vector after the final norm, and no axis for layers.
        norm: the final norm, through which all layers then go (the logit lens); None leaves them raw.
        progress: a bar on a terminal, once the work has taken some seconds; it estimates the rest by tokens.

    Raises:
        InputError: a batch below 1.
        LinrepError: numbers that are not finite, as half precision may give.
    """
    if batch < 1:
        raise InputError(f"batch is {batch}; at least 1 is needed")
    order = sorted(range(len(ids)), key=lambda index: -len(ids[index]))  # the longest first: no surprise at the end
    bar = tqdm(total=sum(map(len, ids)), desc=name, unit="token", delay=SHOW_AFTER, disable=None if progress else True)
    parts = []
    with bar:
        for start in range(0, len(order), batch):
            rows = [ids[index] for index in order[start : start + batch]]
            parts.append(torch.stack(list(_pass(network, rows, layers, norm))))  # (layers, batch, dim)
            bar.update(sum(map(len, rows)))
    places = torch.tensor(order).argsort()
    states = torch.cat(parts, dim=1)[:, places.to(parts[0].device)]
    if not torch.isfinite(states).all():
        longer = "; torch.float32 may help" if states.dtype.itemsize < 4 else ""
        raise LinrepError(f"the hidden states of {name!r} in {states.dtype} are not finite{longer}")
    return states if layers is not None else states[0]


def _pass(network: Any, rows: Sequence[Sequence[int]], layers: Sequence[int] | None, norm: Any) -> Iterator[Tensor]:
    """The states of one batch, layer by layer, on the device of the last."""
    device = input_device(network)
    last = torch.tensor([len(row) - 1 for row in rows])
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)  # (batch, tokens)
    mask = (torch.arange(padded.shape[1]) <= last[:, None]).long()
    found = network.base_model(
        input_ids=padded.to(device),
        attention_mask=mask.to(device),
        output_hidden_states=layers is not None,
        use_cache=False,
    )
    final = _at(found.last_hidden_state, last)
    if layers is None:
        yield final
        return
    top = layer_count(network) - 1
    if len(found.hidden_states) != top + 1:
        raise LinrepError(f"{type(network).__name__} gives {len(found.hidden_states)} layers; {top + 1} were expected")
    for layer in layers:
        state = final if layer == top else _at(found.hidden_states[layer], last)
        yield (state if norm is None or layer == top else norm(state)).to(final.device)


def _at(states: Float[Tensor, "batch tokens dim"], last: Tensor) -> Float[Tensor, "batch dim"]:
    last = last.to(states.device)
    return states[torch.arange(len(last), device=states.device), last]
