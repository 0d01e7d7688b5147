"""The head: found from the configuration, checked by computing the logits again, refused when they do not come out."""

from pathlib import Path
from typing import Any

import pytest
import torch
from llm_tiny import network, save, tokenizer

from linrep.errors import LinrepError
from linrep.llm.head import LOGIT_TOLERANCE, Head, final_norm, find_head
from linrep.llm.model import load_model

IDS = torch.tensor([[5, 9, 3, 7, 11]])

HEADS: list[tuple[str, bool, dict[str, Any], Head]] = [
    ("llama", True, {}, Head(tied=True)),
    ("llama", False, {}, Head(tied=False)),
    ("gpt2", True, {}, Head(tied=True)),
    ("gpt2", False, {}, Head(tied=False)),
    ("qwen2", False, {}, Head(tied=False)),
    ("qwen2", True, {}, Head(tied=True)),
    ("gemma3", True, {}, Head(tied=True)),
    ("gemma3", True, {"final_logit_softcapping": 5.0}, Head(tied=True, softcap=5.0)),
    ("gemma2", True, {}, Head(tied=True, softcap=30.0)),
    ("gemma2", False, {"final_logit_softcapping": 2.0}, Head(tied=False, softcap=2.0)),
    ("gemma2", True, {"final_logit_softcapping": None}, Head(tied=True)),
    ("granite", False, {"logits_scaling": 8.0}, Head(tied=False, scale=1 / 8)),
    ("granite", True, {"logits_scaling": 0.5}, Head(tied=True, scale=2.0)),
    ("cohere", True, {"logit_scale": 0.25}, Head(tied=True, scale=0.25)),
    ("phi", False, {}, Head(tied=False, bias=True)),
]


@pytest.mark.parametrize(("architecture", "tied", "options", "head"), HEADS)
def test_the_head_is_found_and_gives_the_logits(
    tmp_path: Path, architecture: str, tied: bool, options: dict[str, Any], head: Head
) -> None:
    model = load_model(str(save(tmp_path / "m", tied=tied, architecture=architecture, **options)))
    assert model.head == head
    assert model.logit_error("a king queen man") < LOGIT_TOLERANCE
    assert model.untrained(seed=0).head == head


@pytest.mark.parametrize(("architecture", "tied", "options", "head"), HEADS)
def test_every_part_of_a_head_matters(architecture: str, tied: bool, options: dict[str, Any], head: Head) -> None:
    net = network(60, tied=tied, architecture=architecture, **options)
    with torch.inference_mode():
        states, logits = net.base_model(IDS).last_hidden_state, net(IDS).logits
        weight, bias = net.get_output_embeddings().weight, getattr(net.get_output_embeddings(), "bias", None)
        plain = states @ weight.T
    is_plain = torch.allclose(plain, logits, atol=1e-5 * float(logits.abs().max()))
    assert is_plain is (head == Head(tied=tied))
    again = head.scale * (plain + (bias if head.bias else 0))
    again = again if head.softcap is None else head.softcap * torch.tanh(again / head.softcap)
    torch.testing.assert_close(again, logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_head_is_found_in_every_number_type(tmp_path: Path, dtype: torch.dtype) -> None:
    model = load_model(str(save(tmp_path / "m", architecture="gemma2", final_logit_softcapping=5.0)), dtype=dtype)
    assert model.head.softcap == 5.0
    assert model.hidden_states(["a king"]).dtype == dtype


@pytest.mark.parametrize("factor", [2.0, 0.0, float("nan")])
def test_logits_that_nothing_explains_are_refused(factor: float) -> None:
    net = network(60, tied=False)
    net.lm_head.register_forward_hook(lambda module, given, output: factor * output)
    with pytest.raises(LinrepError, match=r"LlamaForCausalLM differs by (inf|\S+e\S+) of the largest") as caught:
        find_head(net, IDS)
    assert "\n" not in str(caught.value)


def test_a_head_that_cannot_be_explained_is_refused_when_the_model_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "m", architecture="granite", logits_scaling=8.0)
    monkeypatch.setattr("linrep.llm.head._SCALES", ())
    with pytest.raises(LinrepError, match=r"cannot load the model .*: its logits are not cap\(scale \(h Wᵀ \+ b\)\)"):
        load_model(str(folder))


def test_a_later_change_of_the_head_shows_in_the_logit_error(tmp_path: Path) -> None:
    model = load_model(str(save(tmp_path / "m")))
    model.network.lm_head.bias = torch.nn.Parameter(10 * torch.ones(model.network.lm_head.out_features))
    assert model.logit_error("a king") > 0.1


def test_a_model_without_a_final_norm_has_no_lens() -> None:
    net = network(len(tokenizer()), tied=True)
    assert final_norm(net, IDS) is net.model.norm
    net.model.norm = _Nothing()
    with pytest.raises(LinrepError, match="LlamaForCausalLM has no final norm"):
        final_norm(net, IDS)


class _Nothing(torch.nn.Module):
    """Where a norm would be: a module with a child, which is no norm itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Identity()])

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.layers[0](states)
