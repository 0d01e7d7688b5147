"""Tiny tokenizers and tiny random models of several architectures, for tests that need no installed model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

WORDS = ("king", "queen", "man", "woman", "uncle", "aunt", "actor", "actress", "boy", "girl", "ruler", "naïve")
BOS, EOS = "<s>", "</s>"
ARCHITECTURES = ("llama", "gpt2", "gemma2", "gemma3", "qwen2")


def tokenizer(words: Sequence[str] = WORDS, *, kind: str = "bytes", around: tuple[bool, bool] = (False, False)) -> Any:
    """A tokenizer to which each word after a space is one token.

    Args:
        kind: "bytes" (GPT-2's) or "metaspace" (Llama's).
        around: whether it puts BOS before and EOS behind a text; with either it has both tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token="<unk>"))
    if kind == "bytes":
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        core.decoder = decoders.Metaspace(prepend_scheme="always")
    ends = {"bos_token": BOS, "eos_token": EOS} if any(around) else {}
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=["<unk>", *ends.values()], show_progress=False)
    core.train_from_iterator(["a " + " ".join(words)] * 2, trainer)
    if any(around):
        template = f"{BOS if around[0] else ''} $A {EOS if around[1] else ''}".strip()
        core.post_processor = processors.TemplateProcessing(single=template, special_tokens=[(BOS, 1), (EOS, 2)])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", **ends)


def network(
    vocabulary: int, *, tied: bool, seed: int = 0, dim: int = 16, architecture: str = "llama", **options: Any
) -> Any:
    """A model of two layers with random weights, large enough that its logits are of the order of 10."""
    import transformers

    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": dim,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "tie_word_embeddings": tied,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": None,
    }
    if architecture.startswith("gemma"):  # a window of 4 tokens in every other layer
        shape |= {"head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 8, "pad_token_id": 0}
        shape |= {"layer_types": ["sliding_attention", "full_attention"]}
    if architecture == "gpt2":
        shape = {"vocab_size": vocabulary, "n_embd": dim, "n_layer": 2, "n_head": 2, "n_positions": 64} | {
            key: shape[key] for key in ("tie_word_embeddings", "bos_token_id", "eos_token_id")
        }
    names = {"llama": "Llama", "gpt2": "GPT2", "gemma2": "Gemma2", "gemma3": "Gemma3Text", "qwen2": "Qwen2"}
    names |= {"granite": "Granite", "cohere": "Cohere", "phi": "Phi"}
    stem = names[architecture]
    config = getattr(transformers, f"{stem}Config")(**(shape | options))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, f"{stem.replace('GPT2', 'GPT2LMHead').replace('Gemma3Text', 'Gemma3')}"
                        f"{'Model' if stem == 'GPT2' else 'ForCausalLM'}")(config)  # fmt: skip
        with torch.no_grad():  # the usual start is so small that an error of a head would not be seen
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
            model.get_output_embeddings().weight.mul_(3)
    return model.eval()


def save(
    folder: Path, *, tied: bool = True, padding: int = 5, shard: str | None = None, architecture: str = "llama",
    tokens: Any = None, **options: Any,
) -> Path:  # fmt: skip
    """A folder as transformers writes it; the matrix has `padding` rows more than the tokenizer has tokens.

    Args:
        shard: the largest file, as transformers writes sizes; a few kB give several files and an index.
    """
    tokens = tokenizer() if tokens is None else tokens
    tokens.save_pretrained(folder)
    model = network(len(tokens) + padding, tied=tied, architecture=architecture, **options)
    model.save_pretrained(folder, **({} if shard is None else {"max_shard_size": shard}))
    return folder
