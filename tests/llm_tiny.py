"""Tiny tokenizers and a tiny random Llama, for tests that need no installed model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

WORDS = ("king", "queen", "man", "woman", "uncle", "aunt", "actor", "actress", "boy", "girl", "ruler", "naïve")


def tokenizer(words: Sequence[str] = WORDS, *, kind: str = "bytes") -> Any:
    """A tokenizer to which each word after a space is one token; kind: "bytes" (GPT-2's) or "metaspace" (Llama's)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token="<unk>"))
    if kind == "bytes":
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        core.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=["<unk>"], show_progress=False)
    core.train_from_iterator(["a " + " ".join(words)] * 2, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


def network(vocabulary: int, *, tied: bool, seed: int = 0, dim: int = 16) -> Any:
    """A Llama of two layers with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=dim,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def save(folder: Path, *, tied: bool = True, padding: int = 5) -> Path:
    """A folder as transformers writes it; the matrix has `padding` rows more than the tokenizer has tokens."""
    tokens = tokenizer()
    tokens.save_pretrained(folder)
    network(len(tokens) + padding, tied=tied).save_pretrained(folder)
    return folder
