"""A tiny GGUF file, and fake installed packages that carry it whole or in pieces."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from llm_tiny import tokenizer

from linrep.llm.registry import Source

DIM, BLOCKS, HEADS, WIDTH = 32, 2, 2, 64


def write_gguf(path: Path) -> Path:
    """A random Llama with a byte-level tokenizer, its output matrix tied, as llama.cpp writes such models."""
    import gguf

    tokens = tokenizer()
    vocabulary = sorted(tokens.get_vocab(), key=tokens.get_vocab().__getitem__)
    merges = [" ".join(pair) for pair in json.loads(tokens.backend_tokenizer.to_str())["model"]["merges"]]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(DIM)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(DIM // HEADS)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3] + [1] * (len(vocabulary) - 1))
    writer.add_token_merges(merges)
    for name in ("bos", "eos", "unk"):
        getattr(writer, f"add_{name}_token_id")(0)
    for name, shape in _shapes(len(vocabulary)).items():
        numbers = np.random.default_rng(len(name)).standard_normal(shape, dtype=np.float32)
        writer.add_tensor(name, 1 + 0.1 * numbers if len(shape) == 1 else 0.3 * numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def install_fake(site: Path, package: str, files: dict[str, bytes], *, version: str = "1.0") -> None:
    """What pip leaves behind of a wheel: its module, its data, and the list of its files."""
    module = package.replace("-", "_")
    (site / module / "data").mkdir(parents=True, exist_ok=True)
    (site / module / "__init__.py").write_text(f"open({str(site / 'imported')!r}, 'w').close()\n")
    for name, content in files.items():
        (site / module / "data" / name).write_bytes(content)
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {package}\nVersion: {version}\n")
    listed = [f"{module}/__init__.py", *(f"{module}/data/{name}" for name in files), f"{info.name}/METADATA"]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed))


def source_for(content: bytes, *, parts: Sequence[str] = (), terms: str | None = None) -> Source:
    """The entry of a model with that file."""
    digest = hashlib.sha256(content).hexdigest()
    return Source("tiny", "linrep-tiny", "1.0", "Tiny Terms", len(content), digest, tuple(parts), terms)


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    square, up = (DIM, DIM), (WIDTH, DIM)
    block = {
        "attn_norm": (DIM,), "attn_q": square, "attn_k": square, "attn_v": square, "attn_output": square,
        "ffn_norm": (DIM,), "ffn_gate": up, "ffn_up": up, "ffn_down": up[::-1],
    }  # fmt: skip
    blocks = {f"blk.{i}.{name}.weight": shape for i in range(BLOCKS) for name, shape in block.items()}
    return {"token_embd.weight": (vocabulary, DIM), "output_norm.weight": (DIM,), **blocks}
