"""A language model as this project sees it: unembedding W, hidden states h, and logits that are a head's of h Wᵀ."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError, LinrepError
from linrep.llm.folder import check_folder
from linrep.llm.head import Head, final_norm, find_head, logit_distance, output_matrix, states_and_logits
from linrep.llm.hub import fetch_all
from linrep.llm.matrix import Unembedding, token_rows
from linrep.llm.quiet import one_line, quiet_transformers, require_transformers
from linrep.llm.saved_states import saved_or_computed
from linrep.llm.states import Layers, chosen_layers, input_device, last_states
from linrep.llm.tokens import Special, context_ids
from linrep.setting import check_device

AUTO = "auto"
"""The device that leaves the placing to accelerate."""

HEAD_TEXT = "The ruler of a kingdom is a king or a queen"
"""The text that a model's head is checked with when it is opened."""


@dataclass(frozen=True, eq=False)
class LanguageModel(Unembedding):
    """A causal language model: an unembedding W with the network that gives the hidden states h.

    Attributes:
        network: of transformers, in evaluation mode.
    """

    network: Any

    @cached_property
    def head(self) -> Head:
        """What the model does between h and its logits; found when first asked for, and then kept.

        Raises:
            LinrepError: the logits cannot be explained by any head that is known.
        """
        return find_head(self.network, self._ids(HEAD_TEXT))

    def hidden_states(
        self,
        texts: Sequence[str],
        *,
        batch: int = 16,
        special: Special = "tokenizer",
        layers: Layers = None,
        lens: bool = False,
        cache: bool = False,
        progress: bool = True,
    ) -> Float[Tensor, "*layers texts dim"]:
        """h at the last token of each text, after the final norm: what the model multiplies with W.

        Texts are padded on the right with a mask, so that the batch changes nothing but rounding.

        Args:
            texts: contexts, each with at least one token.
            batch: texts in one pass.
            special: what stands in front of a text; see `linrep.llm.tokens.Special`. Never anything behind.
            layers: True for all, or a list; adds a first axis. 0 is the token embeddings, l the output of block l, and
                the last one, as without `layers`, the vector after the final norm.
            lens: put the other layers through the final norm too (the logit lens); else they are raw.
            cache: look for the states in the cache folder first, and keep them there.
            progress: a bar on a terminal, once the work has taken some seconds.

        Raises:
            InputError: no texts, a text without a token or longer than the model reads, a layer that is not there.
            LinrepError: states that are not finite; a lens for a model without a final norm.
        """
        ids = context_ids(self.tokenizer, texts, special=special)
        self._check_ids(ids, texts)
        chosen = chosen_layers(self.network, layers)
        norm = final_norm(self.network, self._ids(HEAD_TEXT)) if lens and chosen is not None else None

        def compute() -> Tensor:
            return last_states(
                self.network, ids, batch=batch, layers=chosen, norm=norm, name=self.name, progress=progress
            )

        return saved_or_computed(self.network, ids, [chosen, norm is not None], compute) if cache else compute()

    @torch.inference_mode()
    def logit_error(self, text: str) -> float:
        """The largest |logits − cap(scale · (h Wᵀ + b))| over all positions of a text, over the largest |logit|.

        At rounding for the head that the model has; see `linrep.llm.head`.

        Raises:
            InputError: a text without a token.
            LinrepError: as `head` does.
        """
        states, logits = states_and_logits(self.network, self._ids(text))
        return logit_distance(self.head, states, logits, *output_matrix(self.network))

    def untrained(self, *, seed: int) -> "LanguageModel":
        """The same architecture and tokenizer with the random weights that training would start from: a control."""
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            torch.manual_seed(seed)
            network = type(self.network)(deepcopy(self.network.config))
        network = network.to(device=self.unembedding.device, dtype=self.unembedding.dtype).eval()
        rows = len(self.unembedding)
        return LanguageModel(
            name=f"{self.name}, untrained, seed {seed}",
            hidden_size=self.hidden_size,
            unembedding=network.get_output_embeddings().weight.detach()[:rows],
            tokenizer=self.tokenizer,
            network=network,
        )

    def _ids(self, text: str) -> Int[Tensor, "1 tokens"]:
        ids = context_ids(self.tokenizer, [text])
        self._check_ids(ids, [text])
        return torch.tensor(ids, device=input_device(self.network))

    def _check_ids(self, ids: Sequence[Sequence[int]], texts: Sequence[str]) -> None:
        """Refuse a context that the network cannot read."""
        longest = getattr(self.network.config.get_text_config(), "max_position_embeddings", None)
        rows = self.network.get_input_embeddings().weight.shape[0]
        for row, text in zip(ids, texts, strict=True):
            if longest is not None and len(row) > longest:
                raise InputError(f"the text {text[:40]!r}... has {len(row)} tokens; {self.name} reads up to {longest}")
            if max(row) >= rows:
                raise InputError(f"the text {text[:40]!r} has the token {max(row)}; {self.name} has {rows}")


def open_model(where: str, *, name: str, device: str, dtype: torch.dtype, local: bool) -> LanguageModel:
    """A model through transformers, from a local folder or from the Hub. Never runs code of the model, never unpickles.

    Args:
        where: the folder, or the Hub's id.
        device: cpu, cuda, cuda:N; or auto, which lets accelerate place the parts of the model.

    Raises:
        InputError: a device that does not exist.
        LinrepError: one line with the reason: no such model, no safetensors, code of its own, tensors missing, no
            connection, logits that no known head explains.
    """
    check_device(device, also=(AUTO,))
    require_transformers()
    try:
        folder = Path(where) if local else fetch_all(where)
        check_folder(folder)
        with quiet_transformers():
            network, tokenizer = _read(folder, dtype=dtype, device=device)
        matrix = output_matrix(network)[0]
        model = LanguageModel(name, matrix.shape[1], matrix[: token_rows(tokenizer, matrix)], tokenizer, network)
        model.head  # noqa: B018  # found, and so checked, now
    except Exception as error:  # transformers, safetensors and the Hub raise of every kind
        raise LinrepError(f"cannot load the model {name!r}: {one_line(error)}") from error
    return model


def first_device(device: str) -> str:
    """The device of a tensor that stays whole: auto is the first card, or without one the CPU."""
    if device != AUTO:
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _read(folder: Path, *, dtype: torch.dtype, device: str) -> tuple[Any, Any]:
    """Network and tokenizer of a folder that has been checked."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    spread = device == AUTO and find_spec("accelerate") is not None
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(str(folder), **options)  # first: the cheapest to fail
    tokenizer = AutoTokenizer.from_pretrained(str(folder), config=config, **options)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        str(folder), config=config, use_safetensors=True, dtype=dtype, output_loading_info=True,
        device_map=AUTO if spread else None, **options,
    )  # fmt: skip
    network, info = loaded
    if lost := sorted(str(key) for key in info["missing_keys"]):
        raise LinrepError(f"its weights lack {len(lost)} tensor(s), {lost[0]} among them")
    if network.get_output_embeddings() is None:
        raise LinrepError(f"{type(network).__name__} has no unembedding matrix")
    if not spread:
        network = network.to(first_device(device))
    return network.eval(), tokenizer
