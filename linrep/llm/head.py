"""What a model does between its last hidden state h and its logits, found out and checked by computing them again.

Every head that is accepted is cap(scale · (h Wᵀ + b)). The geometry of the unembedding looks at W only:

- b adds a constant to the log-odds of two tokens, whatever the context. It moves no difference of rows of W and no
  difference of states, so that a concept has the same direction with it as without.
- scale multiplies all log-odds and changes no cosine.
- cap(x) = c tanh(x / c), a soft cap, bends large logits after W has done its work: what is linear in h is then
  cap⁻¹ of a logit, not the logit.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import LinrepError

LOGIT_TOLERANCE = 1e-5
"""Largest |logits − their recomputation| over the largest |logit| that a model may show, in float32."""

ROUNDINGS = 4
"""The same in units of the last digit, for shorter types."""

_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap", "softcap")
_SCALES = ("logit_scale", "logits_scaling", "logits_mup_width_multiplier")


@dataclass(frozen=True)
class Head:
    """The last step of a model: logits = cap(scale · (h Wᵀ + b)).

    Attributes:
        tied: W is the matrix of the token embeddings as well.
        bias: there is a b.
        softcap: c of cap(x) = c tanh(x / c); None without a cap.
        scale: 1 where there is none.
    """

    tied: bool = False
    bias: bool = False
    softcap: float | None = None
    scale: float = 1.0

    def logits(
        self, states: Float[Tensor, "*batch dim"], weight: Float[Tensor, "vocabulary dim"], bias: Tensor | None
    ) -> Float[Tensor, "*batch vocabulary"]:
        """The logits of hidden states; `bias` is b, of which a head without one takes no notice."""
        logits = self.scale * torch.nn.functional.linear(states, weight, bias if self.bias else None)
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


def tolerance(dtype: torch.dtype) -> float:
    """How far logits may be from their recomputation, relative to the largest: rounding, and not more."""
    return max(LOGIT_TOLERANCE, ROUNDINGS * torch.finfo(dtype).eps)


@torch.inference_mode()
def find_head(network: Any, ids: Int[Tensor, "1 tokens"]) -> Head:
    """The head of a model: what its configuration may mean, and of that what gives the logits of a short text.

    Raises:
        LinrepError: nothing that is known gives the model's logits.
    """
    config, (weight, bias) = network.config.get_text_config(), output_matrix(network)
    tied = network.get_output_embeddings().weight is network.get_input_embeddings().weight
    caps = [None, *_numbers(config, _CAPS)]
    scales = [1.0, *(scale for value in _numbers(config, _SCALES) for scale in (value, 1 / value))]
    heads = [Head(tied, bias is not None, cap, scale) for cap, scale in product(caps, scales)]
    states, logits = states_and_logits(network, ids)
    errors = [logit_distance(head, states, logits, weight, bias) for head in heads]
    best = min(range(len(heads)), key=errors.__getitem__)
    if not errors[best] <= tolerance(logits.dtype):
        raise LinrepError(
            f"its logits are not cap(scale (h Wᵀ + b)), the heads that are known: {type(network).__name__} differs "
            f"by {errors[best]:.1e} of the largest logit, allowed is {tolerance(logits.dtype):.1e}"
        )
    return heads[best]


def output_matrix(network: Any) -> tuple[Float[Tensor, "vocabulary dim"], Float[Tensor, " vocabulary"] | None]:
    """W and b of a model, also where accelerate keeps them away from the device until their turn comes."""
    module = network.get_output_embeddings()
    if not module.weight.is_meta:
        bias = getattr(module, "bias", None)
        return module.weight.detach(), None if bias is None else bias.detach()
    from accelerate.utils import align_module_device

    with align_module_device(module):
        bias = getattr(module, "bias", None)
        return module.weight.detach().clone(), None if bias is None else bias.detach().clone()


def logit_distance(
    head: Head,
    states: Float[Tensor, "*batch dim"],
    logits: Float[Tensor, "*batch vocabulary"],
    weight: Float[Tensor, "vocabulary dim"],
    bias: Float[Tensor, " vocabulary"] | None,
) -> float:
    """The largest |logits − those of this head| over the largest |logit|; infinite where a number is not finite."""
    again = head.logits(states.to(weight.device), weight, bias)
    error = float((logits.to(again.device) - again).abs().max() / logits.abs().max())
    return error if error >= 0 else float("inf")  # NaN: a logit is not finite, or all are 0


def states_and_logits(
    network: Any, ids: Int[Tensor, "1 tokens"]
) -> tuple[Float[Tensor, "1 tokens dim"], Float[Tensor, "1 tokens vocabulary"]]:
    """h at every position of one text, and the model's own logits there."""
    return network.base_model(input_ids=ids).last_hidden_state, network(input_ids=ids).logits


@torch.inference_mode()
def final_norm(network: Any, ids: Int[Tensor, "1 tokens"]) -> Any:
    """The module outside the blocks whose output is h: the final norm.

    Raises:
        LinrepError: the model has none.
    """
    outputs: dict[str, Tensor] = {}
    modules = {
        name: module
        for name, module in network.base_model.named_modules()
        if not any(part.isdigit() for part in name.split(".")) and not any(module.children())
    }

    def keep(name: str) -> Any:
        return lambda module, given, output: outputs.__setitem__(name, output)

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        final = network.base_model(input_ids=ids).last_hidden_state
    finally:
        for hook in hooks:
            hook.remove()
    for name, output in outputs.items():
        if isinstance(output, Tensor) and output.shape == final.shape and torch.equal(output, final):
            return modules[name]
    raise LinrepError(f"{type(network).__name__} has no final norm, through which a layer could be seen")


def _numbers(config: Any, names: tuple[str, ...]) -> list[float]:
    values = [getattr(config, name, None) for name in names]
    return [float(value) for value in values if isinstance(value, int | float) and value]
