"""Word pairs that differ in one concept: reading them, and finding the token of each word.

A file holds one concept: a pair a line, two tab-separated columns, the word for value 0 first. A pair is usable by a
model only where each word, after a space in running text, is exactly one of its tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from linrep.errors import InputError
from linrep.llm.tsv import quoted, read_rows

Pair = tuple[str, str]
SUFFIXES = (".tsv", ".txt")


@dataclass(frozen=True)
class WordPairs:
    """A concept as words.

    Attributes:
        name: the file's name without its suffix.
        pairs: (word for value 0, word for value 1), in the file's order.
    """

    name: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, eq=False)
class TokenPairs:
    """A concept as tokens of one model.

    Attributes:
        name, read: of the concept, and the number of pairs it was read with.
        pairs: token ids, value 1 first and value 0 second, as `linrep.steering.steering_vectors` takes them.
        words: the kept pairs as words, value 0 first.
        dropped: every other pair, with the reason.
    """

    name: str
    read: int
    pairs: Int[np.ndarray, "pairs 2"]
    words: tuple[Pair, ...]
    dropped: tuple[tuple[Pair, str], ...]


def read_pairs(folder: Path | None = None) -> list[WordPairs]:
    """The concepts of a folder, by name: each .tsv or .txt file in it is one; None for those that come with linrep.

    UTF-8, with or without a byte-order mark; any line ends; blank lines are ignored; of more than two columns the
    first two count; spaces around a word do not.

    Raises:
        InputError: a folder that is missing, is none, or has no such file; a file that is not UTF-8, has no pair or
            whose name cannot be printed; a line without two words. The message names file and line.
    """
    if folder is None:
        place: Traversable = resources.files("linrep.llm") / "data" / "words"
    elif not folder.exists():
        raise InputError(f"the pairs folder {folder} does not exist")
    elif not folder.is_dir():
        raise InputError(f"the pairs folder {folder} is not a folder; give one with a .tsv or .txt file per concept")
    else:
        place = folder
    found = sorted((file for file in place.iterdir() if _is_pair_file(file)), key=lambda file: file.name)
    if not found:
        raise InputError(f"the pairs folder {place} holds no .tsv or .txt file; give one per concept")
    concepts = [_read_file(file) for file in found]
    names = [concept.name for concept in concepts]
    if unclear := [name for name in names if not name.isprintable()]:
        raise InputError(f"the pairs folder {place} holds a file whose name is no printable text: {quoted(unclear[0])}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"the pairs folder {place} holds two files for the concept {twice[0]!r}")
    return concepts


def tokenise(concept: WordPairs, tokenizer: Any) -> TokenPairs:
    """Find each word's token, and drop, with the reason, every pair that has none or that repeats another.

    Args:
        concept: at least one pair.
        tokenizer: of transformers.
    """
    kept: dict[tuple[int, int], Pair] = {}
    dropped: list[tuple[Pair, str]] = []
    for pair in concept.pairs:
        found = [_token(word, tokenizer) for word in pair]
        ids = (found[1], found[0])
        if reasons := [token for token in found if isinstance(token, str)]:
            dropped.append((pair, ", ".join(dict.fromkeys(reasons))))
        elif found[0] == found[1]:
            dropped.append((pair, "both words are the same token"))
        elif ids in kept:
            dropped.append((pair, "repeats an earlier pair"))
        elif ids[::-1] in kept:
            dropped.append((pair, "reverses an earlier pair"))
        else:
            kept[int(ids[0]), int(ids[1])] = pair
    return TokenPairs(
        name=concept.name,
        read=len(concept.pairs),
        pairs=np.array(list(kept), dtype=np.int64).reshape(-1, 2),
        words=tuple(kept.values()),
        dropped=tuple(dropped),
    )


def following_ids(word: str, tokenizer: Any) -> list[int] | None:
    """The tokens of a word that follows a space; None when it changes those of the text before it."""
    before, ids = _ids("a", tokenizer), _ids(f"a {word}", tokenizer)
    return ids[len(before) :] if ids[: len(before)] == before else None


def _token(word: str, tokenizer: Any) -> int | str:
    """The token of a word that follows a space, or why there is none."""
    ids = following_ids(word, tokenizer)
    if ids is None:
        return f"{quoted(word)} has no tokens of its own"
    if len(ids) != 1:
        return f"{quoted(word)} is {len(ids)} tokens"
    if ids[0] == tokenizer.unk_token_id:
        return f"{quoted(word)} is unknown to the tokenizer"
    return ids[0]


def _ids(text: str, tokenizer: Any) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    return ids


def _is_pair_file(file: Traversable) -> bool:
    return file.is_file() and file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")


def _read_file(file: Traversable) -> WordPairs:
    pairs = tuple(_pairs(file))
    if not pairs:
        raise InputError(f"{file} holds no pair; write one a line, two words with a tab between")
    return WordPairs(name=file.name[:-4], pairs=pairs)  # both suffixes have four characters


def _pairs(file: Traversable) -> Iterator[Pair]:
    for number, columns in read_rows(file):
        if len(columns) < 2:
            raise InputError(
                f"{file}, line {number}: {quoted(columns[0])} has no tab; a pair is two words with a tab between"
            )
        if not (columns[0] and columns[1]):
            row = "\t".join(columns)
            raise InputError(f"{file}, line {number}: {quoted(row)} has an empty word; a pair is two words")
        yield columns[0], columns[1]
