"""The tokens of a context: which special ones stand in front of it, and none behind."""

from collections.abc import Sequence
from typing import Any, Literal

from linrep.errors import InputError, LinrepError

Special = Literal["tokenizer", "bos", "none"]
"""What stands in front of a context.

- `tokenizer`: what the tokenizer puts there itself when it reads a prompt: BOS for Llama and Gemma, nothing for GPT-2.
- `bos`: the tokenizer's BOS token, whatever it does by itself.
- `none`: nothing.

Nothing is ever put behind: a tokenizer that closes a text with EOS would make us read the state at EOS.
"""


def context_ids(tokenizer: Any, texts: Sequence[str], *, special: Special = "tokenizer") -> list[list[int]]:
    """The token ids of each text, after those that `special` puts in front.

    Args:
        tokenizer: of transformers.
        texts: contexts; a text that spells a special token itself gets that token, as the tokenizer decides.

    Raises:
        InputError: no texts, a text without a token of its own or that is no Unicode, no BOS where one is asked for.
        LinrepError: a tokenizer that does not put its special tokens around the text's own.
    """
    if not texts:
        raise InputError("no texts given; a hidden state needs at least 1")
    front = leading_ids(tokenizer, special)
    return [front + _own_ids(tokenizer, text) for text in texts]


def leading_ids(tokenizer: Any, special: Special) -> list[int]:
    """The ids in front of every context.

    Raises:
        InputError: `special` is bos and the tokenizer has none.
        LinrepError: as `context_ids` does.
    """
    if special == "none":
        return []
    if special == "bos":
        if tokenizer.bos_token_id is None:
            raise InputError("special is 'bos', but the tokenizer has no BOS token; allowed are 'tokenizer' and 'none'")
        return [int(tokenizer.bos_token_id)]
    own, whole = _own_ids(tokenizer, "a"), [int(token) for token in tokenizer("a").input_ids]
    for start in range(len(whole) - len(own) + 1):
        if whole[start : start + len(own)] == own:
            return whole[:start]
    raise LinrepError("the tokenizer changes a text when it adds special tokens; say special='bos' or 'none'")


def _own_ids(tokenizer: Any, text: str) -> list[int]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"the text {text!r} is no Unicode text: it holds half of a surrogate pair") from None
    ids = [int(token) for token in tokenizer(text, add_special_tokens=False, verbose=False).input_ids]
    if not ids:
        raise InputError(f"the text {text!r} has no token; at least 1 is needed")
    return ids
