"""Hidden states: the vector that meets the output matrix, whatever the batch, the padding and the special tokens."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_tiny import ARCHITECTURES, BOS, EOS, network, save, tokenizer
from torch import Tensor

from linrep.errors import InputError, LinrepError
from linrep.llm.model import LanguageModel, load_model
from linrep.llm.tokens import context_ids, leading_ids

TEXTS = (
    "a king",
    "a",
    "a man woman uncle aunt boy girl ruler king",
    "queen",
    "a king queen man woman uncle aunt actor actress boy girl ruler naïve king queen",
    "a boy girl",
    "a king",
)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = save(tmp_path_factory.mktemp("model") / "tiny", architecture=request.param)
    return load_model(str(folder))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(str(save(tmp_path_factory.mktemp("model") / "tiny")))


def with_tokenizer(model: LanguageModel, around: tuple[bool, bool]) -> LanguageModel:
    tokens = tokenizer(around=around)
    net = network(len(tokens), tied=False)
    return LanguageModel("t", 16, net.get_output_embeddings().weight.detach(), tokens, net)


def met_by_the_matrix(network: Any, ids: list[int]) -> Tensor:
    """What really enters the output matrix at the last position, for one text alone."""
    seen: list[Tensor] = []
    hook = network.get_output_embeddings().register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    try:
        with torch.inference_mode():
            network(torch.tensor([ids]))
    finally:
        hook.remove()
    return seen[0][0, -1]


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_states_are_what_meets_the_output_matrix(model: LanguageModel, batch: int) -> None:
    states = model.hidden_states(TEXTS, batch=batch)
    expected = torch.stack([met_by_the_matrix(model.network, model.tokenizer(text).input_ids) for text in TEXTS])
    assert expected.abs().max() > 1
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)
    assert torch.equal(states[0], states[-1]) or torch.allclose(states[0], states[-1], atol=1e-5)


def test_the_order_of_the_texts_changes_nothing(model: LanguageModel) -> None:
    turned = model.hidden_states(TEXTS[::-1], batch=2).flip(0)
    torch.testing.assert_close(turned, model.hidden_states(TEXTS, batch=2), atol=1e-5, rtol=0)


def test_every_layer_is_the_networks_own(model: LanguageModel) -> None:
    states = model.hidden_states(TEXTS, layers=True, batch=4)
    assert states.shape == (3, len(TEXTS), 16)
    for index, text in enumerate(TEXTS):
        with torch.inference_mode():
            found = model.network(torch.tensor([model.tokenizer(text).input_ids]), output_hidden_states=True)
        expected = torch.stack([layer[0, -1] for layer in found.hidden_states])
        torch.testing.assert_close(states[:, index], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(states[-1], model.hidden_states(TEXTS), atol=1e-5, rtol=0)
    some = model.hidden_states(TEXTS, layers=[-1, 1], batch=4)
    assert torch.equal(some, states[[2, 1]])


def test_the_lens_is_the_final_norm_of_every_other_layer(model: LanguageModel) -> None:
    raw, lens = (model.hidden_states(TEXTS, layers=True, lens=lens) for lens in (False, True))
    base = model.network.base_model
    norm = base.ln_f if hasattr(base, "ln_f") else base.norm
    with torch.inference_mode():
        torch.testing.assert_close(lens[:-1], norm(raw[:-1]), atol=1e-5, rtol=0)
    assert torch.equal(lens[-1], raw[-1])
    assert (lens[:-1] - raw[:-1]).abs().max() > 0.1


@pytest.mark.parametrize("around", [(True, True), (True, False), (False, True)])
def test_the_state_is_never_that_of_an_end_token(llama: LanguageModel, around: tuple[bool, bool]) -> None:
    model = with_tokenizer(llama, around)
    own = tokenizer(around=around)("a king", add_special_tokens=False).input_ids
    assert (model.tokenizer("a king").input_ids[-1] == model.tokenizer.eos_token_id) is around[1]
    front = [model.tokenizer.bos_token_id]
    for special, ids in (
        ("tokenizer", (front if around[0] else []) + own),
        ("bos", front + own),
        ("none", own),
    ):
        state = model.hidden_states(["a king"], special=special)[0]
        torch.testing.assert_close(state, met_by_the_matrix(model.network, ids), atol=1e-5, rtol=0)


def test_the_front_is_found_for_every_tokenizer() -> None:
    assert leading_ids(tokenizer(), "tokenizer") == []
    with_ends = tokenizer(around=(True, True))
    assert leading_ids(with_ends, "tokenizer") == [with_ends.convert_tokens_to_ids(BOS)]
    assert leading_ids(tokenizer(around=(False, True)), "tokenizer") == []
    assert context_ids(with_ends, [f"a{EOS}"], special="none")[0][-1] == with_ends.eos_token_id  # spelled by the user
    with pytest.raises(InputError, match=r"special is 'bos', but the tokenizer has no BOS"):
        leading_ids(tokenizer(), "bos")


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["a", ""], "the text '' has no token"),
        ([], "no texts given"),
        (["a \ud800"], "is no Unicode text"),
        (["a king" + " queen" * 70], r"'a king queen.*has 72 tokens; .* reads up to 64"),
    ],
)
def test_contexts_that_cannot_be_read_are_refused(model: LanguageModel, texts: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        model.hidden_states(texts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layers", [[], [3], [-4, 0]])
def test_layers_that_are_not_there_are_refused(model: LanguageModel, layers: list[int]) -> None:
    with pytest.raises(InputError, match=r"allowed are numbers from 0 \(the token embeddings\) to 2"):
        model.hidden_states(["a"], layers=layers)
    with pytest.raises(InputError, match="batch is 0"):
        model.hidden_states(["a"], batch=0)


def test_a_token_without_a_row_is_refused(llama: LanguageModel) -> None:
    small = network(60, tied=True)
    short = LanguageModel("short", 16, small.get_output_embeddings().weight.detach(), llama.tokenizer, small)
    with pytest.raises(InputError, match=r"has the token \d+; short has 60"):
        short.hidden_states(["a king queen man ruler woman girl actress"])


def test_states_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = load_model(str(save(tmp_path / "tiny")))
    with torch.no_grad():
        model.network.base_model.norm.weight[0] = float("nan")
    with pytest.raises(LinrepError, match=r"in torch\.float32 are not finite$"):
        model.hidden_states(["a"])


def test_on_a_terminal_a_bar_estimates_the_rest(llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("linrep.llm.states.SHOW_AFTER", 0.0)
    llama.hidden_states(TEXTS, batch=1)
    assert "token/s" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    llama.hidden_states(TEXTS, progress=False)
    assert terminal.getvalue().count("100%") == 1


def test_away_from_a_terminal_nothing_is_shown(llama: LanguageModel, capfd: pytest.CaptureFixture[str]) -> None:
    llama.hidden_states(TEXTS, batch=1)
    assert capfd.readouterr() == ("", "")
