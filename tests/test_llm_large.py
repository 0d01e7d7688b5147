"""A model of 7 billion parameters on a small machine: the peak memory of reading and of probing its words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from linrep.llm.folder import INDEX

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read as Linux gives it")

# Not resource's ru_maxrss: a new process starts with that of the process that started it.
PEAK = "next(int(line.split()[1]) * 1024 for line in open('/proc/self/status') if line.startswith('VmHWM'))"
OPENED = f"""
import sys
from linrep.llm.model import open_unembedding
from linrep.llm.probe import probe
from linrep.llm.words import WordPairs
model = open_unembedding(sys.argv[1])
model.unembedding[::9].sum()  # touches nearly every page
print({PEAK})
"""
PROBED = f"""{OPENED}
words = [tuple((f"w{{i + first}}", f"w{{i + first + 50}}") for i in range(40)) for first in (0, 500)]
found = probe(model, [WordPairs(str(i), pairs) for i, pairs in enumerate(words)], shuffles=20)
assert [concept["kept"] for concept in found["concepts"]] == [40, 40]
print({PEAK})
"""


def save_large(folder: Path, *, rows: int, dim: int) -> Path:
    """An untied Llama of `rows` one-word tokens w0, w1, ... in float16; of its two files only the one with W exists."""
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    words = ["<unk>", "a", *(f"w{index}" for index in range(rows - 2))]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>").save_pretrained(folder)
    LlamaConfig(vocab_size=rows, hidden_size=dim, architectures=["LlamaForCausalLM"]).save_pretrained(folder)
    matrix, generator = torch.empty(rows, dim, dtype=torch.float16), torch.Generator().manual_seed(0)
    for start in range(0, rows, 4000):
        matrix[start : start + 4000] = torch.randn(min(4000, rows - start), dim, generator=generator)
    save_file({"lm_head.weight": matrix}, folder / "model-00002-of-00002.safetensors")
    names = {f"{name}.weight": f"model-0000{file}-of-00002.safetensors"
             for file, name in ((1, "model.embed_tokens"), (2, "lm_head"))}  # fmt: skip
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder


def peaks(folder: Path, work: str) -> list[int]:
    """What a new process prints: bytes at most in memory up to then."""
    done = subprocess.run([sys.executable, "-c", work, str(folder)], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_a_matrix_of_a_large_model_is_opened_in_little_memory(tmp_path: Path) -> None:
    folder = save_large(tmp_path / "m", rows=32_000, dim=4096)
    assert (folder / "model-00002-of-00002.safetensors").stat().st_size > 262e6
    (peak,) = peaks(folder, OPENED)
    assert 262e6 < peak < 1.2e9  # of which the libraries take 0.45


def test_the_probe_takes_a_few_matrices_of_the_dimension(tmp_path: Path) -> None:
    opened, probed = peaks(save_large(tmp_path / "m", rows=4_000, dim=1024), PROBED)
    assert probed - opened < 12 * 8 * 1024**2


@pytest.mark.slow
def test_the_words_of_a_large_model_are_probed_in_2_gb(tmp_path: Path) -> None:
    _, probed = peaks(save_large(tmp_path / "m", rows=32_000, dim=4096), PROBED)
    assert probed < 2e9
