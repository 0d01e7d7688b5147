"""The benchmark runs, its baseline is an honest one, and its record says what the chapter shows."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from linrep.bookext import fingerprint
from linrep.errors import InputError
from linrep.experiments import engine
from linrep.loss import PopulationLoss
from linrep.results import Record
from linrep.start import initial_tables
from linrep.train import TrainConfig, train

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def smoke() -> Record:
    sys.path.insert(0, str(FOLDER))
    try:
        import engine as benchmark

        return benchmark.measure(smoke=True)
    finally:
        sys.path.remove(str(FOLDER))


def test_a_smoke_benchmark_measures_every_arm(smoke: Record) -> None:
    rows = smoke.to_frame()
    assert set(rows["engine"]) == {"numba", "torch"}
    assert (rows["wall"] > 0).all()
    np.testing.assert_allclose(rows["core"], rows["wall"] * rows["threads"], rtol=1e-4)
    peaks = smoke.body["peaks"]
    exponential = min(peaks["exp, torch"], peaks["exp, ours"])
    np.testing.assert_allclose(rows["limit"], 3 * rows["k"] * peaks["multiply-add"] + exponential, rtol=1e-4)


def test_the_recipe_is_an_honest_baseline() -> None:
    """From the same start in the same world, it comes to the same loss as linrep's SGD: the draws differ, no more."""
    sys.path.insert(0, str(FOLDER))
    try:
        from recipe import Recipe

        recipe = Recipe(3, seed=2)
        start = initial_tables(27, 8, 3, seeds=[2], dtype=torch.float32)
        assert torch.equal(recipe.contexts.weight.detach(), start[0][0])
        recipe.train(6000)
    finally:
        sys.path.remove(str(FOLDER))
    exact = PopulationLoss.of(recipe.population, dtype=torch.float32, device="cpu")
    tables = recipe.contexts.weight.detach()[None], recipe.tokens.weight.detach()[None]
    theirs = float(exact.value(tables)) - float(recipe.population.entropy[0])
    ours = train(recipe.population, start, TrainConfig(0.1, 6000, "sgd"), seeds=[2])
    first = float(exact.value(start)) - float(recipe.population.entropy[0])
    found = float(ours.loss) - float(recipe.population.entropy[0])
    assert first > 0.5
    assert theirs < 0.05
    assert abs(theirs - found) < 0.01


def test_the_recorded_benchmark_reaches_what_was_asked_of_the_engine() -> None:
    """2 ns a logit and core at m = k = 6; three times the limit; Table 1 in half a minute, 400 times faster."""
    record = engine.recorded()
    by_k = engine.costs(record, by="k")
    assert by_k.loc[6, "all threads, a core"] <= 2
    assert (by_k["times the limit"] <= 3).all()
    assert (by_k["all threads, a core"] <= 2 * by_k["roof, a core"]).all()
    table = engine.against_recipe(record)
    assert table.loc["all", "runs"] == 280
    assert table.loc["all", "descent, s"] < 30
    assert table.loc["all", "ratio"] >= 400


def test_the_table_against_the_recipe_adds_up() -> None:
    table = engine.against_recipe(engine.recorded())
    parts, whole = table.drop(index="all"), table.loc["all"]
    assert whole["recipe, s"] == pytest.approx(parts["recipe, s"].sum())
    assert whole["ratio"] == pytest.approx(parts["recipe, s"].sum() / parts["descent, s"].sum())
    assert whole["ratio, equal cores"] * engine.recorded().config["threads"] == pytest.approx(whole["ratio"])
    steps = pd.DataFrame(engine.recorded().body["table1"]).set_index("m")
    expected = steps["recipe, ms a step"] / 1e3 * (steps["clock"] / 0.1).round() * steps["runs"]
    assert all(math.isclose(a, b, rel_tol=1e-4) for a, b in zip(expected, steps["recipe, s"], strict=True))


@pytest.mark.parametrize("folder", ["benchmarks", "results"])
def test_a_new_record_runs_the_pages_again(tmp_path: Path, folder: str) -> None:
    for name in ("linrep", "results", "benchmarks"):
        (tmp_path / name).mkdir()
    before = fingerprint(tmp_path)
    (tmp_path / folder / "engine.json").write_text("{}")
    assert fingerprint(tmp_path) != before


def test_a_missing_record_is_refused_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "__file__", str(tmp_path / "a" / "b" / "engine.py"))
    with pytest.raises(InputError, match="make it: make bench"):
        engine.recorded()
