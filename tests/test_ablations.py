"""Ablations: what each arm changes and what it leaves, and that the record is what its code gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from linrep.contexts import UNKNOWN
from linrep.errors import DivergenceError, InputError, LinrepError
from linrep.experiments import ablation_views, ablations
from linrep.experiments.ablation_worlds import ARMS, HIGH, LOW, UNABLATED, WORLDS, batch_of
from linrep.figures.late_phase import arms_by_size
from linrep.linearity import measure
from linrep.pilot import CLOCKS, FITTED_KL
from linrep.seeds import PILOT_SEEDS
from linrep.stats import compare_paired

SEEDS = (3, 4)


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_has_the_starts_of_the_base(name: str) -> None:
    base, arm = batch_of("base", 3, SEEDS), batch_of(name, 3, SEEDS)
    place = {state.tobytes(): row for row, state in enumerate(base.population.contexts)}
    rows = [place[state.tobytes()] for state in arm.population.contexts]
    assert torch.equal(arm.start[0], base.start[0][:, rows])
    assert torch.equal(arm.start[1], base.start[1])
    assert np.allclose(arm.population.joint.sum(axis=1), 1)


def test_dropped_contexts_are_those_that_know_the_concept() -> None:
    population = batch_of("C1 never known", 3, SEEDS).population
    assert len(population.contexts) == 9
    assert (population.contexts[:, 0] == UNKNOWN).all()
    assert len(population.context_pairs[0]) == 0
    assert len(population.context_pairs[1]) == 3
    assert np.allclose(population.weights.sum(axis=1), 1)
    assert (batch_of("nothing known", 3, SEEDS).population.contexts == UNKNOWN).all()


def test_fair_coins_are_one_world_whatever_the_edges() -> None:
    assert np.allclose(batch_of("fair coins", 4, SEEDS).population.joint, 1 / 16)


def test_pushed_tables_keep_the_graph_and_leave_the_middle() -> None:
    for edges in ("near-deterministic", "near-deterministic, edges 0"):
        base = WORLDS["base" if edges == "near-deterministic" else "edges 0"](4, 7)
        pushed = WORLDS[edges](4, 7)
        assert pushed.parents == base.parents
        for before, after in zip(base.tables, pushed.tables, strict=True):
            inside = [(after >= low) & (after <= high) for low, high in (LOW, HIGH)]
            assert (inside[0] == (before < 0.5)).all()
            assert (inside[1] == (before >= 0.5)).all()


@pytest.mark.parametrize("chance", [0.95, 0.99])
def test_the_contrary_concept_is_the_opposite_of_the_first(chance: float) -> None:
    population = batch_of(f"not C1, {chance}", 3, SEEDS).population
    apart = population.tokens[:, 0] != population.tokens[:, 1]
    assert np.allclose(population.joint @ apart, chance)
    free = batch_of("edges 0", 3, SEEDS).population
    assert np.allclose(population.joint @ population.tokens[:, 0], free.joint @ free.tokens[:, 0])


def test_the_measures_of_a_complete_arm_are_those_of_the_library() -> None:
    batch = batch_of("base", 3, SEEDS)
    found, expected = ablations.measured(batch.population, batch.start), measure(batch.population, batch.start)
    for name, values in zip(ablations.MEASURES, expected.per_replicate().values(), strict=False):
        assert np.allclose(found[name], values)
    assert np.allclose((found["U of C1"] + 2 * found["U of others"]) / 3, found["U"])


def test_what_no_context_can_tell_is_missing_and_never_a_nan_in_a_record() -> None:
    for name, missing in (("C1 never known", set()), ("nothing known", {"E", "UE"})):
        found = ablations.arm(3, name, 2, CLOCKS[0])
        (first, _) = found["per_seed"]
        assert {*ablations.MEASURES, *ablations.ALSO} - set(first) == missing
        assert all(value == value for row in found["per_seed"] for value in row.values())


def test_a_step_that_is_too_large_is_an_error() -> None:
    with pytest.raises(DivergenceError, match="try step size"):
        ablations.along(3, "base", range(2), step_size=1000, last=CLOCKS[-1])


def test_the_step_found_is_monotone_on_its_pilots_and_passes_the_check() -> None:
    step_size = ablations.step_of(3, "fair coins", CLOCKS[0])
    once, twice = (
        ablations.along(3, "fair coins", PILOT_SEEDS, step_size=step_size, last=CLOCKS[0], finer=finer)
        for finer in (1, 2)
    )
    assert once["monotone"].all()
    assert ablations.step_effect(once, twice, [CLOCKS[0]]) < 0.005
    assert ablations.step_effect(once, once.assign(U=once["U"] + 0.01), [CLOCKS[0]]) == pytest.approx(0.01)


def test_an_unknown_arm_is_refused() -> None:
    with pytest.raises(InputError, match="arm is 'none'"):
        batch_of("none", 3, SEEDS)
    with pytest.raises(InputError, match="no arm 'none' of 3 concepts"):
        ablation_views.rows_of("none", 3)


def test_the_record_has_every_arm_on_the_same_seeds() -> None:
    record = ablation_views.recorded(ablations.NAME)
    rows = record.to_frame()
    sizes = rows.groupby(["m", "arm"])["seed"].agg(list).to_dict()
    for m, count in ablations.SEEDS.items():
        assert all(sizes[m, arm] == list(range(count)) for arm in ARMS)
    assert sizes[ablations.LARGE, "base"] == list(range(ablations.LARGE_SEEDS))
    counts = {(arm["m"], arm["arm"]): arm["fitted"] for arm in record.body["arms"]}
    found = (rows["kl"] <= FITTED_KL).groupby([rows["m"], rows["arm"]]).sum().to_dict()
    assert found == counts
    assert all(arm["half step moves"] < 0.005 for arm in record.body["arms"])


def test_verdicts_are_those_of_the_paired_rule_on_the_recorded_seeds() -> None:
    table = ablation_views.shifts([arm for arm in ARMS if arm != "base"])
    for (m, arm, cosine), line in table.iterrows():
        pair = (ablation_views.rows_of(each, m)[cosine].to_numpy(float) for each in (arm, UNABLATED[arm]))
        assert line["verdict"] == compare_paired(*pair).verdict
    cosines = table.xs("nothing known", level="arm").index.get_level_values("cosine")
    assert set(cosines) == {"U"}


def test_a_live_slice_that_differs_from_its_record_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    record = ablation_views.recorded(ablations.NAME)
    assert ablation_views.require_live([(5, "fair coins", range(5, 7))], tolerance=0.002) == 2
    rows = [row | {"U": row["U"] + 0.01 * (row["seed"] == 6)} for row in record.body["per_seed"]]
    monkeypatch.setattr(
        ablation_views, "recorded", lambda _: replace(record, body=dict(record.body) | {"per_seed": rows})
    )
    with pytest.raises(LinrepError, match="m = 5, arm = fair coins, seed = 6: U is"):
        ablation_views.require_live([(5, "fair coins", range(5, 7))], tolerance=0.002)


def test_the_sizes_table_has_three_to_eight_concepts_and_its_figure_every_arm() -> None:
    assert list(ablation_views.sizes_table().index) == [3, 4, 5, 6, 7, 8]
    table = ablation_views.shifts(["edges 0", "edges 1"]).xs("U", level="cosine")
    (axis,) = arms_by_size(table).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["edges 0", "edges 1"]
    assert isinstance(table, pd.DataFrame)
