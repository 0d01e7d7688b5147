"""The compiled engine is the reference, step by step; its kernels hold at the edges of floating point."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linrep.concepts import ConceptGraph
from linrep.engine import choice, kernels, steppers
from linrep.engine.lanes import Blocks, World
from linrep.engine.steppers import FusedDescent, FusedSampled, guide, share_out
from linrep.errors import DivergenceError, InputError
from linrep.loss import PopulationLoss
from linrep.minibatches import Draws, Sampled, places
from linrep.population import Population, complete_population, incomplete_population
from linrep.setting import Setting
from linrep.simulate import make_batches, simulate
from linrep.start import Tables, initial_tables
from linrep.steppers import Stepper, TorchDescent, TorchSampled
from linrep.train import TrainConfig, train

SHARED = steppers.SHARED

CLOSE = {torch.float32: 1e-5, torch.float64: 1e-12}
"""How far tables of the two engines may be apart, relative to their largest entry."""


def graphs(m: int, count: int, *, prob: tuple[float, float] = (0.3, 0.7)) -> list[ConceptGraph]:
    return [ConceptGraph.random(m, prob=prob, seed=seed) for seed in range(count)]


def pair(population: Population, start: Tables, *, step_size: float, biases: bool = False) -> tuple[Stepper, Stepper]:
    """The reference and the compiled stepper of gradient descent."""
    loss = PopulationLoss.of(population, dtype=start[0].dtype, device="cpu")
    return (
        TorchDescent(start, loss, step_size=step_size, biases=biases),
        FusedDescent(population, start, step_size=step_size, biases=biases),
    )


def require_same(reference: Stepper, compiled: Stepper, *, steps: int, dtype: torch.dtype) -> None:
    """Losses, tables and exact values agree after some steps."""
    expected, found = reference.advance(steps), compiled.advance(steps)
    torch.testing.assert_close(found, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype])
    for ours, theirs in zip(compiled.tables(), reference.tables(), strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, theirs, rtol=0, atol=CLOSE[dtype] * max(1.0, float(theirs.abs().max())))
    torch.testing.assert_close(compiled.value(), reference.value(), rtol=CLOSE[dtype], atol=CLOSE[dtype])


shapes = st.fixed_dictionaries(
    {
        "m": st.integers(1, 5),
        "k": st.integers(1, 12),
        "replicates": st.integers(1, 4),
        "scale": st.floats(0.01, 2.0),
        "dtype": st.sampled_from([torch.float32, torch.float64]),
        "biases": st.booleans(),
        "law": st.sampled_from(["fair", "often", "rarely", "size"]),
        "threads": st.integers(1, 3),
        "shared": st.sampled_from([0, steppers.SHARED]),
    }
)


@settings(deadline=None, max_examples=60)
@given(shape=shapes)
def test_descent_agrees_with_the_reference_over_random_shapes(shape: dict) -> None:
    population = complete_population(graphs(shape["m"], shape["replicates"]), shape["law"])
    start = initial_tables(
        3 ** shape["m"], 2 ** shape["m"], shape["k"], seeds=range(shape["replicates"]),
        init_scale=shape["scale"], dtype=shape["dtype"],
    )  # fmt: skip
    before, threads = [table.clone() for table in start], torch.get_num_threads()
    try:
        torch.set_num_threads(shape["threads"])
        steppers.SHARED = shape["shared"]  # 0: one world is shared out by its contexts, however small
        # A step beyond 2 over the curvature, which grows with |g|², would blow up the roundings that are compared.
        step_size = 0.3 / max(1.0, shape["scale"] ** 2 * shape["k"] / 4)
        both = pair(population, start, step_size=step_size, biases=shape["biases"])
        require_same(*both, steps=5, dtype=shape["dtype"])
    finally:
        torch.set_num_threads(threads)
        steppers.SHARED = SHARED
    assert all(torch.equal(table, old) for table, old in zip(start, before, strict=True))


@settings(deadline=None, max_examples=30)
@given(
    m=st.integers(1, 4),
    k=st.integers(1, 9),
    replicates=st.integers(1, 3),
    batch=st.integers(1, 40),
    adam=st.booleans(),
    biases=st.booleans(),
    law=st.sampled_from(["fair", "size"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_sgd_and_adam_agree_with_the_reference_over_random_shapes(
    m: int, k: int, replicates: int, batch: int, adam: bool, biases: bool, law: str, dtype: torch.dtype
) -> None:
    population, seeds = complete_population(graphs(m, replicates), law), range(5, 5 + replicates)
    start = initial_tables(3**m, 2**m, k, seeds=seeds, dtype=dtype)
    how = Sampled(seeds, batch, 0.01 if adam else 0.1, adam=adam, biases=biases)
    loss = PopulationLoss.of(population, dtype=dtype, device="cpu")
    reference, compiled = TorchSampled(population, start, loss, how), FusedSampled(population, start, how)
    for steps in (3, 12):  # draws go on where they stopped
        require_same(reference, compiled, steps=steps, dtype=dtype)


def test_sgd_goes_on_across_chunks_of_draws() -> None:
    population = complete_population(graphs(2, 1))
    start = initial_tables(9, 4, 2, seeds=[0], dtype=torch.float64)
    how = Sampled([0], 3, 0.1, adam=False, biases=False)
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    reference, compiled = TorchSampled(population, start, loss, how), FusedSampled(population, start, how)
    require_same(reference, compiled, steps=1201, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [80.0, 2000.0])
def test_extreme_logits_neither_overflow_nor_lose_the_small(dtype: torch.dtype, size: float) -> None:
    """Logits of ±80 and beyond: e^80 is past single precision's half, e^2000 past double's range."""
    population = complete_population(graphs(3, 2))
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (2, 27, 1), generator=generator) * 2.0 - 1
    start = (signs * size**0.5).to(dtype), torch.linspace(-1, 1, 8).mul(size**0.5).expand(2, 8).unsqueeze(-1).to(dtype)
    assert float((start[0] @ start[1].mT).abs().max()) == pytest.approx(size, rel=1e-5)
    require_same(*pair(population, start, step_size=0.1), steps=1, dtype=dtype)
    how = Sampled(range(2), 50, 0.1, adam=False, biases=False)
    loss = PopulationLoss.of(population, dtype=dtype, device="cpu")
    sampled = TorchSampled(population, start, loss, how), FusedSampled(population, start, how)
    require_same(*sampled, steps=1, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_near_zero_and_one(dtype: torch.dtype) -> None:
    """p(c) down to 1e-18: the targets of a mask that hides one entry are then 1 and 1e-6."""
    population = complete_population(graphs(3, 3, prob=(1e-6, 1e-6)))
    assert population.joint.min() < 1e-17
    start = initial_tables(27, 8, 3, seeds=range(3), init_scale=1.0, dtype=dtype)
    require_same(*pair(population, start, step_size=0.5), steps=20, dtype=dtype)


def test_incomplete_sets_and_many_tokens() -> None:
    population = incomplete_population(ConceptGraph.random(7, seed=3), masks=11, tokens=45, seed=3)
    start = initial_tables(len(population.contexts), 45, 5, seeds=[3], dtype=torch.float64)
    require_same(*pair(population, start, step_size=2.0), steps=5, dtype=torch.float64)
    how = Sampled([3], 100, 0.1, adam=False, biases=True)
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    both = TorchSampled(population, start, loss, how), FusedSampled(population, start, how)
    require_same(*both, steps=5, dtype=torch.float64)


def test_a_replicate_does_not_depend_on_the_others_nor_on_the_threads() -> None:
    threads, many = torch.get_num_threads(), graphs(4, 5)
    whole = complete_population(many)
    start = initial_tables(81, 16, 4, seeds=range(5), dtype=torch.float32)
    found = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append(train(whole, start, TrainConfig(2.0, 120), seeds=range(5), engine="numba"))
        torch.set_num_threads(1)
        alone = train(
            complete_population(many[3:4]), (start[0][3:4], start[1][3:4]), TrainConfig(2.0, 120), seeds=[3],
            engine="numba",
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(each.embedding, found[0].embedding) for each in found)
    assert torch.equal(alone.unembedding[0], found[0].unembedding[3])


def test_powers_and_logarithms_of_two_are_right_to_rounding() -> None:
    @kernels.njit
    def apply(x, powers, logs):
        for i in range(len(x)):
            powers[i] = kernels.pow2(x[i])
            logs[i] = kernels.log2(np.float64(powers[i]))

    for dtype, edge, close in ((np.float32, 126, 3e-7), (np.float64, 1022, 5e-16)):
        x = np.concatenate([np.linspace(-edge, edge, 40_001), [-edge, 0, 0.5, -0.5, 1, edge]]).astype(dtype)
        powers, logs = np.empty_like(x), np.empty(len(x))
        apply(x, powers, logs)
        exact = np.exp2(x.astype(np.longdouble))
        assert float(np.abs(powers / exact - 1).max()) < close
        np.testing.assert_allclose(logs, np.log2(powers.astype(np.float64)), rtol=3e-16, atol=3e-16)
    below = np.array([-1e30, -200.0, -127.0], np.float32)
    powers, logs = np.empty_like(below), np.empty(3)
    apply(below, powers, logs)
    np.testing.assert_allclose(powers, 2.0**-126, rtol=3e-7)


def test_the_guide_finds_what_a_binary_search_finds() -> None:
    rng = np.random.default_rng(0)
    for tokens in (1, 2, 3, 45, 128):
        p = rng.dirichlet(np.full(tokens, 0.3))
        cumulative = np.cumsum(p)
        cumulative[-1] = 1 - 1e-12  # a sum rounded below 1
        uniform = np.concatenate([rng.random(2000), cumulative, np.nextafter(cumulative, 0), [0.0, 1 - 2.0**-53]])
        cells = guide(cumulative)
        assert len(cells) & (len(cells) - 1) == 0  # a power of 2: no rounding moves a number to the next cell
        found = [kernels.place(cumulative, cells, u) for u in uniform if u < 1]
        assert found == places(cumulative, uniform[uniform < 1]).tolist()


@pytest.mark.parametrize("optimizer", ["gd", "sgd", "adam"])
def test_divergence_is_an_error_that_names_the_seed(optimizer: str) -> None:
    population = complete_population(graphs(3, 2))
    start = initial_tables(27, 8, 3, seeds=[7, 8], dtype=torch.float32)
    broken = (start[0].clone(), start[1])
    broken[0][1, :, 1] = torch.inf
    with pytest.raises(DivergenceError, match="seed 8"):
        train(population, broken, TrainConfig(0.1, 10, optimizer), seeds=[7, 8], engine="numba")


def test_too_large_a_step_is_divergence_in_both_engines_never_a_number() -> None:
    for engine in ("numba", "torch"):
        setting = Setting(concepts=3, init_scale=1e30, step_size=1e30, steps=60, engine=engine)
        with pytest.raises(DivergenceError, match="step size"):
            simulate(setting, seeds=range(3))


def test_what_the_kernels_read_grows_with_contexts_plus_tokens() -> None:
    """At m = 9 the logits would have 19683 x 512 = 10 million entries."""
    population = complete_population(graphs(9, 1))
    blocks = Blocks.of(19683, 512)
    world = World.of(population, blocks, np.dtype(np.float32))
    arrays = [*world.contexts, world.weights, world.joints, world.codes]
    assert sum(array.size for array in arrays) < 5 * (blocks.count * blocks.width + 512)
    assert 19683 <= blocks.count * blocks.width < 1.05 * 19683
    work = kernels.workspace(9, np.zeros((512, 10), np.float32), blocks.width)
    assert sum(array.size for array in work) < 200_000


def test_blocks_hold_every_context_once_and_unfold_again() -> None:
    for contexts, tokens in ((1, 2), (27, 8), (81, 16), (729, 64), (5000, 4096)):
        blocks = Blocks.of(contexts, tokens)
        table = np.random.default_rng(0).normal(size=(2, contexts, 5))
        folded = blocks.fold_table(table)
        assert folded.shape == (2, blocks.count, 6, blocks.width)
        assert blocks.width % 32 == 0
        assert (blocks.unfold_table(folded, 5) == table).all()
        assert np.abs(folded).sum() == pytest.approx(np.abs(table).sum())


def test_the_engine_is_chosen_and_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choice.compiled("auto", device="cpu")
    assert not choice.compiled("auto", device="cuda:0")
    assert not choice.compiled("auto", device="cpu", own_loss=True)
    assert not choice.compiled("torch", device="cpu")
    with pytest.raises(InputError, match="device is 'cuda:0'; allowed here are auto, torch"):
        choice.compiled("numba", device="cuda:0")
    with pytest.raises(InputError, match="engine is 'fast'; allowed are auto, numba, torch"):
        choice.check_engine("fast")
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    assert not choice.compiled("auto", device="cpu")
    with pytest.raises(InputError, match="numba is not installed"):
        Setting(engine="numba")


def test_a_whole_simulation_gives_the_same_table_on_both_engines() -> None:
    setting = {"concepts": 3, "step_size": 1.0, "steps": 1000}
    tables = [simulate(Setting(**setting, engine=each), seeds=range(4)).per_seed() for each in ("numba", "torch")]
    numbers = ["kl", "unembedding", "embedding", "matched", "between", "imbalance"]
    np.testing.assert_allclose(tables[0][numbers], tables[1][numbers], atol=1e-9)
    assert (tables[0].monotone == tables[1].monotone).all()


@pytest.mark.parametrize("optimizer", ["gd", "sgd", "adam"])
def test_biases_of_a_setting_are_trained_by_both_engines(optimizer: str) -> None:
    """From one start: the trained tables differ with and without, and the engines agree on those with."""
    setting = Setting(concepts=3, biases=True, optimizer=optimizer)
    batch, how = make_batches(setting, range(2))[0], setting.training(0.1, 60)
    seeds = batch.seeds
    ours, plain = (train(batch.population, batch.start, how, seeds=seeds, engine=each) for each in ("numba", "torch"))
    without = train(batch.population, batch.start, replace(how, biases=False), seeds=seeds)
    torch.testing.assert_close(ours.embedding, plain.embedding, rtol=0, atol=1e-12)
    assert float((ours.embedding - without.embedding).abs().max()) > 1e-3


def test_shares_cover_everything_once() -> None:
    lock, seen = threading.Lock(), []

    def part(first: int, last: int) -> None:
        with lock:
            seen.extend(range(first, last))

    for count in (1, 2, 7, 100):
        seen.clear()
        share_out(part, count)
        assert sorted(seen) == list(range(count))


def test_draws_of_a_replicate_are_its_own() -> None:
    population = complete_population(graphs(3, 2))
    together = Draws(population, seeds=[4, 5], batch=6)
    alone = Draws(complete_population(graphs(3, 2)[1:]), seeds=[5], batch=6)
    for first, second in zip(together.next(1), alone.next(0), strict=True):
        assert (first == second).all()
