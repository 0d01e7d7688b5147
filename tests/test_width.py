"""Width: spectra of tables of every kind, the cells of the map, the arms of the causes."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from linrep.errors import InputError
from linrep.experiments import spectra, width_causes, width_map, width_measures
from linrep.experiments.width_measures import COSINE_MEASURES, MEASURES
from linrep.history import follow, history
from linrep.pilot import CLOCKS, STEP_EFFECT, Batch, Pace
from linrep.setting import Setting
from linrep.simulate import COSINES, make_batches, simulate
from linrep.start import Tables
from linrep.train import TrainConfig, Trained

SHORT = CLOCKS[0]


def tables(concepts: int, embedding: torch.Tensor, unembedding: torch.Tensor) -> dict[str, float]:
    """The measures of one replicate."""
    (batch,) = make_batches(Setting(concepts=concepts), range(1))
    both: Tables = (embedding[None], unembedding[None])
    return {name: float(value[0]) for name, value in width_measures.measured(batch.population)(0, both).items()}


def test_a_linear_world_is_all_of_degree_one() -> None:
    (batch,) = make_batches(Setting(concepts=3), range(1))
    x = torch.from_numpy(np.where(batch.population.contexts == -1, 0, 2.0 * batch.population.contexts - 1))
    found = tables(3, x, torch.from_numpy(2.0 * batch.population.tokens - 1))
    assert set(found) == set(MEASURES)
    ones = (
        "unembedding",
        "embedding",
        "matched",
        "weighted U",
        "weighted E",
        "g degree 1",
        "f degree 1",
        "known degree 1",
    )
    assert all(found[name] == pytest.approx(1) for name in ones)
    assert found["g degree 2"] == pytest.approx(0)
    assert found["known spread"] == pytest.approx(spectra.simplex_check(3)["cube, spread"])


def test_a_simplex_weighs_all_sets_alike() -> None:
    """Words on a simplex, contexts at the mean of the words that agree: the known contexts are the words themselves."""
    (batch,) = make_batches(Setting(concepts=3), range(1))
    agrees = torch.from_numpy(batch.population.consistent).double()
    found = tables(3, agrees / agrees.sum(dim=1, keepdim=True), torch.eye(8, dtype=torch.float64))
    chance = spectra.chance_shares(3)
    assert found["g degree 1"] == pytest.approx(chance.g[1])
    assert found["known degree 1"] == pytest.approx(3 / 7)
    assert found["known spread"] == pytest.approx(0, abs=1e-12)
    assert found["unembedding"] == pytest.approx(0, abs=1e-12)


def test_known_contexts_are_those_of_f() -> None:
    """F a cube where all is known, nothing elsewhere; G a simplex: the one must not be taken for the other."""
    (batch,) = make_batches(Setting(concepts=3), range(1))
    contexts = batch.population.contexts
    cube = torch.from_numpy(np.where((contexts >= 0).all(axis=1, keepdims=True), 2.0 * contexts - 1, 0))
    cube += torch.from_numpy(0.1 * (contexts == 1))  # every concept moves something in every context
    wide = torch.nn.functional.pad(cube, (0, 5))
    found = tables(3, wide, torch.eye(8, dtype=torch.float64))
    assert found["known degree 1"] == pytest.approx(1)
    assert found["known spread"] == pytest.approx(spectra.simplex_check(3)["cube, spread"])
    assert found["g degree 1"] == pytest.approx(3 / 7)


def test_shares_of_normal_rows_are_the_numbers_of_sets() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = [
        tables(3, torch.randn(27, 5, generator=rng).double(), torch.randn(8, 5, generator=rng).double())
        for _ in range(200)
    ]
    means = pd.DataFrame(drawn).mean()
    chance = spectra.chance_shares(3)
    assert means["g degree 1"] == pytest.approx(chance.g[1], abs=0.03)
    assert means["f degree 1"] == pytest.approx(chance.f[1], abs=0.03)
    assert chance.sum().tolist() == pytest.approx([1, 1])


def test_the_identity_and_the_tables_that_break_what_it_does_not_promise() -> None:
    found = spectra.identity_table(seeds=range(2), clock=100)
    assert found["identity off by"].max() < 1e-9
    assert found.loc["degree 2, along concept 1", "U of concept 1"] == pytest.approx(1)
    assert found.loc["degree 2, along concept 1", "lengths"] == pytest.approx(3)
    own = found.loc["degree 2, own dimension"]
    assert (own["degree 1"], own["lengths"]) == (pytest.approx(3 / 3.25), pytest.approx(1))


def test_a_cell_is_what_a_plain_simulation_gives() -> None:
    found = width_map.cell(2, 4, "0.1", SHORT, 3)
    (how,) = found["cells"]
    assert how["halving moves"] < STEP_EFFECT
    setting = Setting(concepts=2, dim=4, init_scale=0.1)
    plain = simulate(setting, seeds=range(3), pace=width_map.pace_of(how)).per_seed()
    (means,) = found["means"]
    for column in COSINES:
        assert means[column] == pytest.approx(plain[column].mean(), abs=1e-5)
        assert means[f"{column} ±"] == pytest.approx(plain[column].sem(), abs=1e-5)
        assert [row[column] for row in found["per_seed"]] == pytest.approx(plain[column].tolist(), abs=1e-5)
    assert (how["fitted"], how["monotone"]) == (int((plain.kl <= 0.01).sum()), int(plain.monotone.sum()))


def test_a_step_whose_half_moves_a_mean_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """U = 0.9 plus a hundredth of the step: halving 2 moves it by .01, 1 by .005, 0.5 by .0025."""

    def drawn(setting: Setting, seeds: range, *, step_size: float, clock: int) -> pd.DataFrame:
        row: dict[str, Any] = {"seed": 0, "clock": clock, "kl": 0.0, "monotone": True} | dict.fromkeys(MEASURES, 0.9)
        return pd.DataFrame([row | {"unembedding": 0.9 + 0.01 * step_size}])

    monkeypatch.setattr(width_map, "along", drawn)
    monkeypatch.setattr(width_map, "setting_pace", lambda setting, clock: Pace(2.0, 500))
    (how,) = width_map.cell(2, 4, "0.1", SHORT, 1)["cells"]
    assert (how["step_size"], how["halving moves"]) == (0.5, pytest.approx(0.0025))
    monkeypatch.setattr(width_map, "setting_pace", lambda setting, clock: Pace(64.0, 500))
    (how,) = width_map.cell(2, 4, "0.1", SHORT, 1)["cells"]
    assert (how["step_size"], how["halving moves"]) == (8.0, pytest.approx(0.04)), "marked, after three halvings"


def test_every_number_of_concepts_has_fewer_as_many_and_more_dimensions() -> None:
    for m, dims in width_map.DIMS.items():
        assert dims == tuple(sorted(dims))
        assert {m, 4 * m, 2**m} <= set(dims)
        assert dims[0] < m or m == 2


@pytest.mark.parametrize(
    ("name", "step_size", "unit"),
    [
        ("descent", 2.0, 2.0),
        ("SGD 1, 200", None, 1.0),
        ("SGD 0.5, 100", None, 0.5),
        ("noise 1, 200", None, 1.0),
        ("Adam 0.01", None, 1.0),
    ],
)
def test_arms_end_at_the_same_clock(
    name: str, step_size: float | None, unit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that are really taken, times what one counts: a step of Adam counts one, whatever its rate."""
    steps = []

    def spied(batch: Batch, config: TrainConfig, *args: Any, **kwargs: Any) -> tuple[Trained, pd.DataFrame]:
        steps.append(config.steps)
        return follow(batch, config, *args, **kwargs)

    monkeypatch.setattr(width_causes, "follow", spied)
    found = width_causes.arm(4, name, SHORT, 2, step_size=step_size)
    assert steps == [math.ceil(SHORT / unit)]
    assert [row["clock"] for row in found["per_seed"]] == [SHORT] * 2
    assert ("monotone" in found["per_seed"][0]) == (not name.startswith(("SGD", "Adam")))


def test_the_base_and_a_decayed_arm_share_worlds_and_starts() -> None:
    """A decay too small to matter leaves every number where it was; a large one does not."""
    base = pd.DataFrame(width_causes.arm(4, "descent", SHORT, 2)["per_seed"])
    width_causes.ARMS["decay 1e-12"] = {"how": "decay", "by": 1e-12}
    try:
        tiny = pd.DataFrame(width_causes.arm(4, "decay 1e-12", SHORT, 2)["per_seed"])
    finally:
        del width_causes.ARMS["decay 1e-12"]
    large = pd.DataFrame(width_causes.arm(4, "decay 1e-2", SHORT, 2)["per_seed"])
    names = ["kl", "unembedding", "embedding", "matched", "between"]
    assert np.abs(base[names] - tiny[names]).max().max() < 1e-5
    assert (large["kl"] > base["kl"] + 0.05).all()
    assert (large["imbalance"] < 0.01).all()


def test_sgd_arms_are_the_sgd_of_the_package() -> None:
    found = pd.DataFrame(width_causes.arm(4, "SGD 1, 200", SHORT, 2)["per_seed"])
    setting = Setting(concepts=3, dim=4, init_scale=0.1, optimizer="sgd", batch=200)
    plain = history(setting, seeds=range(2), pace=Pace(1.0, SHORT), points=2).query(f"clock == {SHORT}")
    np.testing.assert_allclose(found["unembedding"], plain["unembedding"], atol=1e-5)


def test_smoke_records_are_whole(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, cells in ((width_map, 4), (width_causes, 4)):
        monkeypatch.setattr(module, "unfinished_folder", lambda name: tmp_path / name)
        record = module.record("smoke")
        rows = record.to_frame()
        assert np.isfinite(rows.select_dtypes("number").to_numpy()).all()
        assert len(list((tmp_path / module.NAME).glob("*.json"))) == cells


def test_spectra_of_incomplete_worlds_are_refused() -> None:
    (batch,) = make_batches(Setting(concepts=3, masks=4), range(1))
    look = width_measures.measured(batch.population)
    with pytest.raises(InputError, match="needs all 27"):
        look(0, batch.start)
    assert set(COSINE_MEASURES) < set(MEASURES)
