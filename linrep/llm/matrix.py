"""The unembedding of a model alone: one tensor of its safetensors file, so that a large model fits on a small machine.

Word pairs ask for W and the tokenizer only. The tensor's name is not guessed from a list: the architecture, built
without memory, says which of its parameters is the output matrix, and for a tied model which others are the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import LinrepError
from linrep.llm.folder import SINGLE, check_settings, inside, opened_weights, weight_files, weight_map
from linrep.llm.hub import fetch_settings, fetch_weights
from linrep.llm.products import transforms
from linrep.llm.quiet import one_line, quiet_transformers, require_transformers


@dataclass(frozen=True, eq=False)
class Unembedding:
    """What the probe of words needs of a model.

    Attributes:
        name: as it was asked for.
        hidden_size: dim, the length of a hidden state and of a row of W.
        unembedding: W, one row per token of the tokenizer; rows that only pad the matrix are left out. A bias of the
            output matrix is no part of it: it moves no difference of rows (see `linrep.llm.head`).
        tokenizer: of transformers.
    """

    name: str
    hidden_size: int
    unembedding: Float[Tensor, "vocabulary dim"]
    tokenizer: Any

    @cached_property
    def transforms(self) -> dict[str, Float[Tensor, "dim dim"]]:
        """Of `linrep.llm.products.transforms`; found when first asked for, and then kept: W must not change in place.

        Raises:
            InputError: as `transforms` does.
        """
        return transforms(self.unembedding)


def read_unembedding(where: str, *, name: str, local: bool) -> Unembedding:
    """W and the tokenizer of a model in a folder or of the Hub; of a sharded model only the file with W is fetched.

    W has the number type that it is stored in, and its pages are read when they are looked at.

    Raises:
        LinrepError: one line with the reason, as `linrep.llm.network.open_model` gives it.
    """
    require_transformers()
    try:
        folder = Path(where) if local else fetch_settings(where)
        check_settings(folder)
        with quiet_transformers():
            from transformers import AutoTokenizer

            options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), **options)
            names, shape = _output_names(folder)
        matrix = _read_tensor(folder, names, repo=None if local else where)
        if tuple(matrix.shape) != shape or not matrix.is_floating_point():
            raise LinrepError(
                f"its output matrix is {matrix.dtype} of shape {tuple(matrix.shape)}, not numbers of {shape}"
            )
    except Exception as error:  # transformers, safetensors and the Hub raise of every kind
        raise LinrepError(f"cannot load the model {name!r}: {one_line(error)}") from error
    return Unembedding(name, matrix.shape[1], matrix[: token_rows(tokenizer, matrix)], tokenizer)


def token_rows(tokenizer: Any, matrix: Float[Tensor, "rows dim"]) -> int:
    """The rows of an output matrix that belong to a token; the others pad it."""
    last: int = max(tokenizer.get_vocab().values())
    return min(len(matrix), last + 1)


def _output_names(folder: Path) -> tuple[list[str], tuple[int, int]]:
    """The names that the output matrix may have in the folder's files, the likeliest first, and its shape."""
    from transformers import AutoConfig, AutoModelForCausalLM

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(str(folder), **options)
    architecture: Any = AutoModelForCausalLM  # untyped
    with torch.device("meta"):
        network = architecture.from_config(config, trust_remote_code=False)
    head = network.get_output_embeddings()
    if head is None:
        raise LinrepError(f"{type(network).__name__} has no unembedding matrix")
    same = [name for name, tensor in network.named_parameters(remove_duplicate=False) if tensor is head.weight]
    outer = f"{network.base_model_prefix}."
    names = sorted(same, key=lambda name: name.startswith(outer))  # a file with both: the head's own first
    return [*names, *(name.removeprefix(outer) for name in names)], tuple(head.weight.shape)


def _read_tensor(folder: Path, names: Sequence[str], *, repo: str | None) -> Tensor:
    """The first of the named tensors that the weights hold. `repo`: the Hub's model whose file is then fetched."""
    index = weight_map(folder)
    file = SINGLE if index is None else index[_first(names, index)]
    if repo is None:
        weight_files(folder)
    else:
        fetch_weights(repo, folder, [file])
    with opened_weights(inside(folder, file)) as tensors:
        matrix: Tensor = tensors.get_tensor(_first(names, tensors.keys()))
    return matrix


def _first(names: Sequence[str], held: Iterable[str]) -> str:
    there = set(held)
    for name in names:
        if name in there:
            return name
    raise LinrepError(f"its weights lack the output matrix {names[0]}")
