"""Laws of training: the gradient is autograd's, replicates do not see each other, failure is an error with a name."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linrep.concepts import ConceptGraph
from linrep.contexts import UNKNOWN
from linrep.errors import DivergenceError, InputError, StepSizeWarning, TooLargeError
from linrep.loss import PopulationLoss
from linrep.minibatches import Minibatches, minibatch_gradient
from linrep.population import Population, complete_population, incomplete_population
from linrep.start import Tables, initial_tables
from linrep.train import TrainConfig, Trained, _Watch, check_training, train


def world(concepts: int, seeds: list[int]) -> Population:
    return complete_population([ConceptGraph.random(concepts, seed=seed) for seed in seeds])


def start(population: Population, dim: int, seeds: list[int], **options) -> Tables:
    return initial_tables(len(population.contexts), len(population.tokens), dim, seeds=seeds, **options)


def run(seeds: list[int], config: TrainConfig, *, concepts: int = 3, **options) -> Trained:
    population = world(concepts, seeds)
    return train(population, start(population, concepts, seeds, **options), config, seeds=seeds)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.floats(0.01, 5), st.integers(0, 10**6))
def test_closed_form_gradient_equals_autograd(m: int, dim: int, count: int, scale: float, seed: int) -> None:
    seeds = [seed + r for r in range(count)]
    population = world(m, seeds)
    tables = tuple(table.requires_grad_() for table in start(population, dim, seeds, init_scale=scale))
    log_p = torch.log_softmax(tables[0] @ tables[1].mT, dim=-1)
    target, weights = torch.from_numpy(population.target), torch.from_numpy(population.weights)
    value = -(weights[..., None] * target * log_p).sum(dim=(-2, -1))
    expected = torch.autograd.grad(value.sum(), tables)
    detached = (tables[0].detach(), tables[1].detach())
    found, gradients = PopulationLoss.of(population, dtype=torch.float64, device="cpu").value_and_gradient(detached)
    torch.testing.assert_close(found, value.detach())
    torch.testing.assert_close(gradients[0], expected[0], rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(gradients[1], expected[1], rtol=1e-8, atol=1e-12)


def test_the_loss_is_above_the_entropy_floor_and_reaches_it() -> None:
    population = world(3, [1, 2])
    trained = run([1, 2], TrainConfig(1.0, 20_000))
    gap = trained.loss.numpy() - population.entropy
    assert (gap > 0).all()
    assert (gap < 0.01).all()
    assert trained.monotone is not None
    assert trained.monotone.all()


@pytest.mark.parametrize("optimizer", ["gd", "sgd", "adam"])
def test_a_replicate_is_the_same_alone_and_in_a_batch(optimizer) -> None:
    config = TrainConfig({"gd": 1.0, "sgd": 0.1, "adam": 0.01}[optimizer], 700, optimizer)
    together, alone = run([5, 6, 7], config), run([6], config)
    torch.testing.assert_close(together.embedding[1], alone.embedding[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(together.unembedding[1], alone.unembedding[0], rtol=0, atol=1e-9)
    assert (together.embedding[0] - together.embedding[1]).abs().max() > 0.1


def test_threads_do_not_change_the_result() -> None:
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):  # 140,000 logits: enough for torch to share them out between threads
            torch.set_num_threads(count)
            found.append(run([1, 2, 3], TrainConfig(8.0, 200), concepts=6))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(found[0].embedding, found[1].embedding, rtol=0, atol=1e-5)


def test_float32_agrees_with_float64() -> None:
    double, single = run([3], TrainConfig(1.0, 1000)), run([3], TrainConfig(1.0, 1000), dtype=torch.float32)
    assert single.embedding.dtype == torch.float32
    torch.testing.assert_close(single.embedding.double(), double.embedding, rtol=0, atol=1e-3)


def test_the_start_is_left_alone_and_follows_its_law() -> None:
    population = world(4, [1])
    tables = start(population, 50, [1])
    kept = (tables[0].clone(), tables[1].clone())
    train(population, tables, TrainConfig(1.0, 3), seeds=[1])
    assert torch.equal(tables[0], kept[0])
    assert tables[0].abs().max() <= 1 / 9 < 1.01 * tables[0].abs().max()
    assert tables[1].abs().max() <= 1 / 4 < 1.01 * tables[1].abs().max()
    scaled = start(population, 50, [1], init_scale=0.3)
    assert float(scaled[0].std()) == pytest.approx(0.3, rel=0.05)


def test_divergence_names_replicate_step_and_a_smaller_step_size() -> None:
    with pytest.raises(DivergenceError, match=r"replicate 0 \(seed 4\) diverged at step \d+ .* try step size 5e\+154"):
        run([4, 5], TrainConfig(1e155, 100), init_scale=1.0)
    with pytest.raises(DivergenceError, match="diverged at step"):
        run([4], TrainConfig(1e155, 100, "sgd"), init_scale=1.0)


def test_a_step_above_the_monotone_range_warns_and_is_marked() -> None:
    with pytest.warns(StepSizeWarning, match=r"the loss rose in 2 of 2 replicates \(seeds 4, 5\): step size 20"):
        trained = run([4, 5], TrainConfig(20.0, 200))
    assert trained.monotone is not None
    assert not trained.monotone.any()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
@pytest.mark.parametrize("place", ["within a block", "between blocks", "at the end"])
def test_a_rise_counts_above_the_tolerance_of_its_dtype_and_not_below(dtype, tolerance: float, place: str) -> None:
    def monotone(factor: float) -> bool:
        watch = _Watch(TrainConfig(1.0, 4), [7], dtype)
        risen = 1 + factor * tolerance
        first, second, final = {
            "within a block": ([2.0, 2 * risen], [1.0, 0.9], 0.8),
            "between blocks": ([3.0, 2.0], [2 * risen, 0.9], 0.8),
            "at the end": ([3.0, 2.0], [1.0, 0.9], 0.9 * risen),
        }[place]
        watch.block(torch.tensor(first, dtype=dtype)[:, None], 0)
        watch.block(torch.tensor(second, dtype=dtype)[:, None], 2)
        verdict = watch.verdict(torch.tensor([final], dtype=dtype), warn=False)
        assert verdict is not None
        return bool(verdict.item())

    assert monotone(0.5)
    assert not monotone(2.0)


def test_observers_see_the_exact_loss_at_the_steps_asked_for_and_can_stop() -> None:
    population = world(3, [1])
    exact = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    seen: list[tuple[int, float]] = []

    def observe(step, tables, loss) -> bool:
        assert float(exact.value(tables)) == pytest.approx(float(loss), rel=1e-12)
        seen.append((step, float(loss)))
        return step == 120

    marks = [0, 7, 50, 120, 200]
    tables = start(population, 3, [1])
    trained = train(population, tables, TrainConfig(1.0, 500), seeds=[1], record_at=marks, observe=observe)
    assert [step for step, _ in seen] == [0, 7, 50, 120]
    assert trained.steps == 120
    assert [loss for _, loss in seen] == sorted((loss for _, loss in seen), reverse=True)


def test_minibatch_gradient_equals_autograd() -> None:
    population = incomplete_population(ConceptGraph.random(4, seed=1), masks=5, tokens=11, seed=1)
    tables = tuple(table.requires_grad_() for table in start(population, 3, [1], init_scale=1.0))
    contexts, tokens = Minibatches(population, seeds=[1], batch=40, device="cpu").next()
    logits = tables[0][0, contexts[0]] @ tables[1][0].T
    value = torch.nn.functional.cross_entropy(logits, tokens[0])
    expected = torch.autograd.grad(value, tables)
    found, rows, gradient = minibatch_gradient((tables[0].detach(), tables[1].detach()), contexts, tokens)
    scattered = torch.zeros_like(tables[0]).detach().index_add_(1, contexts[0], rows)
    torch.testing.assert_close(found[0], value.detach())
    torch.testing.assert_close(scattered, expected[0])
    torch.testing.assert_close(gradient, expected[1])


def test_minibatches_follow_the_population() -> None:
    population = incomplete_population(ConceptGraph.random(3, seed=2), masks=4, tokens=7, seed=2)
    batches = Minibatches(population, seeds=[2], batch=1000, device="cpu")
    counts = np.zeros((len(population.contexts), len(population.tokens)))
    for _ in range(50):
        contexts, tokens = batches.next()
        np.add.at(counts, (contexts[0].numpy(), tokens[0].numpy()), 1)
    p = population.pair_probability[0]
    spread = np.sqrt(50_000 * p * (1 - p)) + 1e-9
    assert (np.abs(counts - 50_000 * p) < 5 * spread).all()
    assert not counts[~population.consistent].any()
    assert UNKNOWN in population.contexts


def test_adam_is_torch_adam_on_embedding_layers() -> None:
    population = world(3, [9])
    tables = start(population, 3, [9])
    trained = train(population, tables, TrainConfig(0.01, 60, "adam"), seeds=[9])
    contexts_of, tokens_of = (torch.nn.Embedding.from_pretrained(t[0].clone(), freeze=False) for t in tables)
    adam = torch.optim.Adam([contexts_of.weight, tokens_of.weight], lr=0.01)
    batches = Minibatches(population, seeds=[9], batch=100, device="cpu")
    for _ in range(60):
        contexts, tokens = batches.next()
        adam.zero_grad()
        torch.nn.functional.cross_entropy(contexts_of(contexts[0]) @ tokens_of.weight.T, tokens[0]).backward()
        adam.step()
    torch.testing.assert_close(trained.embedding[0], contexts_of.weight.detach(), rtol=0, atol=1e-8)
    assert trained.monotone is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_size": 0.0}, "step-size is 0.0"),
        ({"step_size": float("nan")}, "step-size is nan"),
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_what_is_no_training_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainConfig(**{"step_size": 1.0, "steps": 10} | options)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(InputError, match="optimizer is 'lion'; allowed are gd, sgd, adam"):
        check_training("lion", 1.0, 10, 100)


def test_a_loss_that_does_not_fit_is_refused_before_it_is_allocated(monkeypatch) -> None:
    monkeypatch.setattr("linrep.memory.psutil.virtual_memory", lambda: type("Memory", (), {"available": 10**5}))
    one = world(3, [1])
    many = replace(one, joint=np.tile(one.joint, (50, 1)))
    with pytest.raises(TooLargeError, match=r"training 50 replicate\(s\) on 27 contexts by 8 tokens would take 432"):
        PopulationLoss.of(many, dtype=torch.float64, device="cpu")
