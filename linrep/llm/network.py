"""A language model as this project sees it: unembedding W, hidden states h, and logits h Wᵀ."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import TqdmWarning

from linrep.errors import InputError, LinrepError
from linrep.setting import check_device

_SERVICE = "DISABLE_SAFETENSORS_CONVERSION"


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model.

    Attributes:
        name: as it was asked for.
        hidden_size: dim, the length of a hidden state and of a row of W.
        unembedding: W, one row per token of the tokenizer; rows that only pad the matrix are left out.
        tokenizer, network: of transformers; the network is in evaluation mode.
    """

    name: str
    hidden_size: int
    unembedding: Float[Tensor, "vocabulary dim"]
    tokenizer: Any
    network: Any

    @torch.inference_mode()
    def hidden_states(self, texts: Sequence[str], *, batch: int = 16) -> Float[Tensor, "texts dim"]:
        """h at the last token of each text, after the final norm: what the model multiplies with W.

        Texts are padded on the right, which a causal model does not see; the special tokens are the tokenizer's own.

        Raises:
            InputError: no texts, or a text without a token.
        """
        if not texts:
            raise InputError("no texts given; a hidden state needs at least 1")
        ids = [self._ids(text) for text in texts]
        return torch.cat([self._last_states(ids[i : i + batch]) for i in range(0, len(ids), batch)])

    @torch.inference_mode()
    def logit_error(self, text: str) -> float:
        """The largest |logits − h Wᵀ| over all positions of a text, relative to the largest |logit|.

        A model whose head has a bias, a scale or a soft cap shows here as a number far above rounding.

        Raises:
            InputError: a text without a token.
        """
        ids = self._ids(text)[None]
        logits = self.network(input_ids=ids).logits[..., : len(self.unembedding)]
        states = self.network.base_model(input_ids=ids).last_hidden_state
        return float((logits - states @ self.unembedding.T).abs().max() / logits.abs().max())

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

    def _ids(self, text: str) -> Tensor:
        ids = self.tokenizer(text).input_ids
        if not ids:
            raise InputError(f"the text {text!r} has no token; at least 1 is needed")
        return torch.tensor(ids, device=self.unembedding.device)

    def _last_states(self, ids: Sequence[Tensor]) -> Tensor:
        last = torch.tensor([len(row) - 1 for row in ids], device=self.unembedding.device)
        padded = torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True)  # (batch, tokens)
        mask = (torch.arange(padded.shape[1], device=last.device) <= last[:, None]).long()
        states: Tensor = self.network.base_model(input_ids=padded, attention_mask=mask).last_hidden_state
        return states[torch.arange(len(ids), device=last.device), last]


def open_model(where: str, *, name: str, device: str, dtype: torch.dtype, local: bool) -> LanguageModel:
    """A model through transformers, from a local folder or from the Hub. Never runs code of the model, never unpickles.

    Raises:
        LinrepError: one line with the reason: no such model, no safetensors, tensors missing, no connection.
    """
    check_device(device)
    require_transformers()
    if local and not Path(where, "config.json").is_file():
        raise LinrepError(f"cannot load the model {name!r}: the folder has no config.json")
    options: dict[str, Any] = {"local_files_only": local, "trust_remote_code": False}
    weights: dict[str, Any] = {"use_safetensors": True, "dtype": dtype, "output_loading_info": True}
    try:
        with quiet_transformers():
            from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

            config = AutoConfig.from_pretrained(where, **options)  # first: the cheapest to fail
            tokenizer = AutoTokenizer.from_pretrained(where, config=config, **options)
            loaded: Any = AutoModelForCausalLM.from_pretrained(where, config=config, **options, **weights)
            network, info = loaded
            network = network.to(device).eval()
    except Exception as error:  # transformers, safetensors and the Hub raise of every kind
        raise LinrepError(f"cannot load the model {name!r}: {_one_line(error)}") from error
    if lost := sorted(str(key) for key in info["missing_keys"]):
        raise LinrepError(
            f"cannot load the model {name!r}: its weights lack {len(lost)} tensor(s), {lost[0]} among them"
        )
    head = network.get_output_embeddings()
    if head is None:
        raise LinrepError(f"cannot use the model {name!r}: {type(network).__name__} has no unembedding matrix")
    matrix = head.weight.detach()
    rows = min(len(matrix), max(tokenizer.get_vocab().values()) + 1)
    return LanguageModel(
        name=name, hidden_size=matrix.shape[1], unembedding=matrix[:rows], tokenizer=tokenizer, network=network
    )


def require_transformers() -> None:
    """Refuse to go on without the extra packages.

    Raises:
        LinrepError: names the command that installs them.
    """
    if any(find_spec(name) is None for name in ("transformers", "gguf")):
        raise LinrepError("language models need transformers and gguf: pip install 'linrep[llm]'")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """transformers without notices, progress bars and its conversion service, and as before afterwards.

    The service, a public bot, would be asked to convert the pickled weights of a Hub model that has no others.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # in a notebook tqdm asks for widgets; no bar is shown anyway
        from transformers.utils import logging as notices

    bars: Any = notices  # untyped
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels, shown = [logger.level for logger in loggers], bars.is_progress_bar_enabled()
    service = os.environ.get(_SERVICE)
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        bars.disable_progress_bar()
        os.environ[_SERVICE] = "1"
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()
        del os.environ[_SERVICE]
        if service is not None:
            os.environ[_SERVICE] = service


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
