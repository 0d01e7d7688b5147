"""Reading word pairs from anybody's files, and finding their tokens."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llm_tiny import WORDS, tokenizer

from linrep.errors import InputError
from linrep.llm.words import WordPairs, read_pairs, tokenise


def write(folder: Path, content: bytes, name: str = "male-female.tsv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


def test_the_built_in_concepts() -> None:
    concepts = read_pairs()
    assert len(concepts) >= 12
    assert [concept.name for concept in concepts] == sorted(concept.name for concept in concepts)
    assert ("king", "queen") in next(concept.pairs for concept in concepts if concept.name == "male-female")


def test_a_folder_is_read_as_written(tmp_path: Path) -> None:
    write(tmp_path, b"king\tqueen\nman\twoman\n", "b.tsv")
    write(tmp_path, "\ufeffna\u00efve\t clever \r\n\r\n  \r\nman\twoman\tthird\tfourth".encode(), "a.TXT")
    write(tmp_path, b"\xff", "notes.md")
    write(tmp_path, b"\xff", "._b.tsv")
    (tmp_path / "folder.tsv").mkdir()
    assert read_pairs(tmp_path) == [
        WordPairs("a", (("naïve", "clever"), ("man", "woman"))),
        WordPairs("b", (("king", "queen"), ("man", "woman"))),
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"king\tqueen\n\nman woman\n", "line 3: 'man woman' has no tab"),
        (b"king\tqueen\nman\t\n", r"line 2: 'man\\t' has an empty word"),
        (b"\tqueen\n", r"line 1: '\\tqueen' has an empty word"),
        (b"\t\n", r"line 1: '\\t' has an empty word"),
        (b"king\tqueen\nna\xefve\tclever\n", "line 2: byte 0xef is not UTF-8"),
        ("king\tqueen\n".encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
        (b"\n\n", "holds no pair"),
        (b"", "holds no pair"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        read_pairs(write(tmp_path, content))
    assert "male-female.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        read_pairs(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no \.tsv or \.txt file"):
        read_pairs(tmp_path)
    write(tmp_path, b"king\tqueen\n", "a.tsv")
    with pytest.raises(InputError, match=r"a\.tsv is not a folder"):
        read_pairs(tmp_path / "a.tsv")
    write(tmp_path, b"king\tqueen\n", "a.txt")
    with pytest.raises(InputError, match="two files for the concept 'a'"):
        read_pairs(tmp_path)


@pytest.fixture(scope="module", params=["bytes", "metaspace"])
def tokens(request: pytest.FixtureRequest) -> Any:
    return tokenizer(kind=request.param)


def test_a_kept_word_is_one_token_after_a_space(tokens: Any) -> None:
    found = tokenise(WordPairs("c", (("king", "queen"), ("naïve", "man"))), tokens)
    assert found.words == (("king", "queen"), ("naïve", "man"))
    assert found.dropped == ()
    for (one, zero), pair in zip(found.pairs.tolist(), found.words, strict=True):
        assert tokens.decode([zero]).strip() == pair[0]
        assert tokens.decode([one]).strip() == pair[1]
        assert tokens("a " + pair[0], add_special_tokens=False).input_ids[-1] == zero


def test_each_dropped_pair_has_its_reason(tokens: Any) -> None:
    pairs = (
        ("king", "queen"),
        ("kings", "queen"),
        ("kings", "queens"),
        ("man", "man"),
        ("king", "queen"),
        ("queen", "king"),
        ("boy", "girl"),
    )
    found = tokenise(WordPairs("c", pairs), tokens)
    assert found.read == 7
    assert found.words == (("king", "queen"), ("boy", "girl"))
    assert [reason for _, reason in found.dropped] == [
        "'kings' is 2 tokens",
        "'kings' is 2 tokens, 'queens' is 2 tokens",
        "both words are the same token",
        "repeats an earlier pair",
        "reverses an earlier pair",
    ]


def test_an_unknown_word_is_dropped() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "king": 2}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")
    found = tokenise(WordPairs("c", (("king", "queen"),)), tokens)
    assert found.dropped == ((("king", "queen"), "'queen' is unknown to the tokenizer"),)
    assert found.pairs.shape == (0, 2)


def test_a_start_token_of_the_tokenizer_does_no_harm() -> None:
    from tokenizers.processors import TemplateProcessing

    with_start = tokenizer()
    with_start.backend_tokenizer.post_processor = TemplateProcessing(single="<unk> $A", special_tokens=[("<unk>", 0)])
    pairs = WordPairs("c", tuple(zip(WORDS[::2], WORDS[1::2], strict=True)))
    assert with_start("a").input_ids[0] == 0
    assert np.array_equal(tokenise(pairs, with_start).pairs, tokenise(pairs, tokenizer()).pairs)
