"""Laws of chance: what nulls of the cosines are, what breaking the link does, and that no cosine lacks a control."""

import math
import re
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import kstest

from linrep import geometry, nulls
from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import UNKNOWN, all_contexts
from linrep.errors import InputError
from linrep.experiments import broken_link, chance
from linrep.experiments.cosines import HEADS, HERE, PRINTED, Printed, printed_html
from linrep.figures.chance import against_chance
from linrep.linearity import measure
from linrep.pilot import Pace
from linrep.population import Population, complete_population, incomplete_population
from linrep.setting import Setting
from linrep.simulate import COSINES, Simulation, make_batches, simulate
from linrep.start import Tables, initial_tables
from linrep.steering import counterfactual_pairs

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
ROUNDING = 1e-12
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n)?(.*?)^```", re.MULTILINE | re.DOTALL)
"""A code cell without its front matter, whose captions are prose."""

COSINE = re.compile(r"COSINES|cosine|\bmatched\b|\bunembedding\b|\bbetween\b|\"(?:U|E|UE)\"|beside_paper|ledger_html")
"""What the code of a chapter that prints a cosine has in it: a measure's name, or a table or figure of them."""


def world(concepts: int, count: int, *, seed: int = 1000) -> Population:
    return complete_population([ConceptGraph.random(concepts, seed=seed + r) for r in range(count)])


def random_tables(population: Population, count: int, *, dim: int, seed: int = 1000) -> Tables:
    shape = len(population.contexts), len(population.tokens)
    return initial_tables(*shape, dim, seeds=range(seed, seed + count), init_scale=1.0)


@pytest.fixture(scope="module")
def small() -> Simulation:
    return simulate(Setting(concepts=3), seeds=range(1000, 1006), pace=Pace(2.0, 500))


@pytest.mark.parametrize("incomplete", [False, True])
def test_the_cosines_of_halves_are_those_of_the_library(incomplete: bool) -> None:
    population = world(4, 3)
    if incomplete:
        population = incomplete_population(ConceptGraph.random(4, seed=1000), masks=9, tokens=13, seed=1001)
    tables = random_tables(population, population.replicates, dim=3)
    halves = nulls.half(tables[1], population.token_pairs), nulls.half(tables[0], population.context_pairs)
    expected = measure(population, tables).per_replicate()
    for name, values in nulls.cosines(*halves).items():
        assert np.abs(values - expected[name]).max() < ROUNDING, name


def test_the_permutation_p_value_is_uniform_where_there_is_nothing_to_see() -> None:
    population, rng = world(3, 1), np.random.default_rng(1002)
    found = []
    for table in random_tables(population, 400, dim=3, seed=2000)[1]:
        dealt = nulls.within(nulls.half(nulls.relabelled(table, 199, generator=rng), population.token_pairs))
        observed = float(nulls.within(nulls.half(table, population.token_pairs)))
        found.append(nulls.p_value(dealt, observed))
    # spread evenly over each step of 1/200, a uniform p becomes a continuous one
    assert kstest(np.array(found) - rng.uniform(0, 1 / 200, 400), "uniform").pvalue > 0.01
    assert min(found) >= 1 / 200


def test_a_p_value_counts_the_observed_arrangement() -> None:
    draws = np.array([0.1, 0.2, 0.3])
    assert nulls.p_value(draws, 0.4) == 1 / 4
    assert nulls.p_value(draws, 0.2) == 3 / 4
    assert nulls.p_value(draws, 0.2, low=True) == 3 / 4
    assert nulls.p_value(draws, 0.05, low=True) == 1 / 4


def test_relabelling_keeps_the_vectors_and_every_order_is_as_likely() -> None:
    table = torch.arange(3.0, dtype=torch.float64)[:, None].expand(3, 2)
    dealt = nulls.relabelled(table, 6000, generator=np.random.default_rng(1003))[:, :, 0].numpy()
    assert (np.sort(dealt, axis=1) == [0, 1, 2]).all()
    counts = [int((dealt == order).all(axis=1).sum()) for order in permutations(range(3))]
    assert max(abs(count - 1000) for count in counts) < 5 * math.sqrt(1000)


def test_gaussian_rows_have_the_mean_and_the_covariance_of_the_table() -> None:
    rng = np.random.default_rng(1004)
    flat = torch.from_numpy(rng.standard_normal((8, 2)) @ rng.standard_normal((2, 3)) + [1.0, -2.0, 0.5])
    rows = nulls.gaussian(flat, 20_000, generator=rng).reshape(-1, 3).numpy()
    assert np.abs(rows.mean(axis=0) - flat.numpy().mean(axis=0)).max() < 0.05
    assert np.abs(np.cov(rows.T) - np.cov(flat.numpy().T, bias=True)).max() < 0.05
    normal = np.linalg.svd(flat.numpy() - flat.numpy().mean(axis=0))[2][-1]
    assert np.abs((rows - flat.numpy().mean(axis=0)) @ normal).max() < 1e-6  # a flat cloud stays flat


@pytest.mark.parametrize(("concepts", "dim"), [(2, 2), (3, 3), (3, 8), (4, 2)])
def test_chance_has_the_mean_and_the_spread_of_the_formula(concepts: int, dim: int) -> None:
    population, draws = world(concepts, 1), 3000
    found = measure(population, random_tables(population, draws, dim=dim, seed=5000))
    n, big = 2 ** (concepts - 1), 3 ** (concepts - 1)
    exact = {
        "unembedding": math.sqrt(2 / (dim * n * (n - 1))),
        "embedding": math.sqrt(2 / (dim * big * (big - 1))),
        "matched": 1 / math.sqrt(dim * n * big),
    }
    averages = nulls.spread(concepts, dim)
    for name, sd in exact.items():
        each = getattr(found, name)
        assert abs(float(each.mean())) < 4 * averages[name] / math.sqrt(draws), name
        assert abs(float(each.std()) / sd - 1) < 0.06, name
        assert abs(float(each.mean(dim=-1).std()) / averages[name] - 1) < 0.06, name
    assert abs(float(found.between.mean()) - nulls.expected_between(dim)) < 0.02


@pytest.mark.parametrize("dim", [2, 3, 4, 8, 576])
def test_the_expected_cosine_between_concepts_is_the_integral(dim: int) -> None:
    # the first coordinate t of a uniform unit vector has a density proportional to (1 − t²)^((k − 3)/2); t = sin x
    weight, total = (
        quad(lambda x, p=p: math.sin(x) ** p * math.cos(x) ** (dim - 2), 0, math.pi / 2)[0] for p in (1, 0)
    )
    assert abs(nulls.expected_between(dim) - weight / total) < 1e-7


@pytest.mark.parametrize("concepts", [2, 3, 4])
def test_two_concepts_are_as_correlated_as_the_formula_says(concepts: int) -> None:
    # For inner products of N(0, I) rows the covariance of Σ A_xy g(x)·g(y) and Σ B_xy g(x)·g(y) is 2k tr AB, A and B
    # symmetric with empty diagonals. A is written down from the definition, pair by pair.
    def form(states: np.ndarray, concept: int) -> np.ndarray:
        table = np.zeros((len(states), len(states)))
        pairs = counterfactual_pairs(states)[concept]
        for (a, b), (c, d) in product(pairs, pairs):
            if a != c:
                table[[a, b, a, b], [c, d, d, c]] += [1, 1, -1, -1]
        return table

    def correlation(states: np.ndarray) -> float:
        first, second = form(states, 0), form(states, 1)
        return float((first * second).sum() / (first**2).sum())

    for name, states in (("unembedding", all_tokens(concepts)), ("embedding", all_contexts(concepts))):
        found = correlation(states)
        count = len(counterfactual_pairs(states)[0])
        single = math.sqrt(2 / (5 * count * (count - 1)))
        expected = single * math.sqrt((1 + (concepts - 1) * found) / concepts)
        assert abs(nulls.spread(concepts, 5)[name] / expected - 1) < ROUNDING


def test_a_spread_needs_two_concepts() -> None:
    with pytest.raises(InputError, match=r"concepts is 1; .* needs 2 or more"):
        nulls.spread(1, 3)


@pytest.mark.parametrize("concepts", [2, 3])
def test_the_labellings_are_one_of_each_class_and_their_mean_is_zero(concepts: int) -> None:
    tokens = all_tokens(concepts)
    orders = nulls.labellings(concepts)
    assert len(orders) == nulls.labelling_count(concepts) == {2: 3, 3: 840}[concepts]
    assert (orders[0] == np.arange(len(tokens))).all()
    table = torch.from_numpy(np.random.default_rng(1005).standard_normal((len(tokens), 5)))
    pairs = counterfactual_pairs(tokens)
    values = nulls.within(nulls.half(table[torch.from_numpy(orders)], pairs))
    assert abs(values.mean()) < ROUNDING
    assert np.diff(np.sort(values)).min() > 1e-9  # classes differ
    place = {row.tobytes(): index for index, row in enumerate(tokens)}
    for flip, order in product(tokens, permutations(range(concepts))):  # the same class has the same U
        image = [place[np.ascontiguousarray((row ^ flip)[list(order)]).tobytes()] for row in tokens]
        one = nulls.half(table[image], pairs)
        assert abs(float(nulls.within(one)) - values[0]) < ROUNDING


def test_labellings_of_four_concepts_are_too_many() -> None:
    with pytest.raises(InputError, match=r"concepts is 4; all labellings can be listed for 2 and 3"):
        nulls.labellings(4)
    assert nulls.labelling_count(4) > 10**10


def test_corners_of_a_simplex_are_orthogonal_and_not_linear_under_every_labelling() -> None:
    # Exercise 2 of the chapter
    table = torch.eye(8, dtype=torch.float64)
    every = nulls.half(table[torch.from_numpy(nulls.labellings(3))], counterfactual_pairs(all_tokens(3)))
    assert np.abs(nulls.within(every)).max() < ROUNDING
    assert np.abs(nulls.between(every)).max() < ROUNDING


def test_differences_that_share_a_word_are_60_degrees_apart_on_average() -> None:
    # Exercise 1, on a law that is neither symmetric nor isotropic
    rng = np.random.default_rng(1006)
    a, b, c = torch.from_numpy(rng.lognormal(size=(3, 40_000, 4)) * [1.0, 2.0, 3.0, 4.0])
    cosine = (geometry.unit(a - b) * geometry.unit(a - c)).sum(dim=-1).clamp(-1, 1)
    angles = torch.rad2deg(torch.arccos(cosine))
    assert abs(float(angles.mean()) - 60) < 4 * float(angles.std()) / 200


def test_training_and_renaming_tokens_commute(small: Simulation) -> None:
    assert broken_link.equivariance_gap(small, pace=Pace(2.0, 200)) < 1e-9
    (run,) = small.runs
    assert float((run.batch.start[1] - run.trained.unembedding).abs().max()) > 0.1  # training did move the tables


def test_broken_links_break_what_they_say_and_keep_the_rest() -> None:
    population = world(3, 2)
    pairs, weights = population.pair_probability, population.weights
    broken = broken_link.broken_pairs(population, seeds=(1000, 1001))
    again = broken_link.broken_pairs(population, seeds=(1000, 1001))
    assert list(broken) == ["tokens relabelled", "contexts relabelled", "each context its own",
                            "wrong but allowed", "drawn independently"]  # fmt: skip
    for name, table in broken.items():
        assert (table == again[name]).all()
        assert np.abs(table.sum(axis=(1, 2)) - 1).max() < ROUNDING
        assert (np.abs(table - pairs).max(axis=(1, 2)) > 0.001).all(), name
        if name != "contexts relabelled":
            assert np.abs(table.sum(axis=2) - weights).max() < ROUNDING
        if name != "drawn independently":
            assert np.allclose(np.sort(table, axis=None), np.sort(pairs, axis=None), rtol=0, atol=ROUNDING)
    moved = broken["tokens relabelled"]
    assert np.abs(np.sort(moved.sum(axis=1)) - np.sort(pairs.sum(axis=1))).max() < ROUNDING
    own = np.sort(broken["each context its own"], axis=2)  # rows keep their numbers, columns do not
    assert np.abs(own - np.sort(pairs, axis=2)).max() < ROUNDING
    columns = (np.sort(table.sum(axis=1)) for table in (broken["each context its own"], pairs))
    assert np.abs(np.subtract(*columns)).max() > 0.01
    assert ((broken["wrong but allowed"] > 0) == population.consistent).all()
    independent = broken["drawn independently"]
    assert np.abs(independent.sum(axis=1) - population.joint).max() < ROUNDING
    assert np.linalg.matrix_rank(independent, tol=1e-12).tolist() == [1, 1]


def test_the_arms_say_what_the_library_says_of_the_world_as_it_is(small: Simulation) -> None:
    arms = broken_link.arms(small, pace=small.pace)
    plain, library = arms["as it is"], small.per_seed()
    for column in ("kl", *COSINES, "between"):
        assert (plain[column] - library[column]).abs().max() < 1e-8, column
    assert all((table["kl"] > -1e-12).all() for table in arms.values())
    assert arms["contexts relabelled"]["unembedding"].mean() > 0.9
    assert arms["drawn independently"]["matched"].abs().max() < 0.1


def test_frequencies_alone_make_the_u_of_the_formula() -> None:
    setting = Setting(concepts=3, init_scale=0.001)
    (batch,) = make_batches(setting, range(1000, 1006))
    found = broken_link.frequency_rows(batch, pace=Pace(2.0, 500))
    assert (found["unembedding"] - found["law"]).abs().max() < 0.02
    assert (found["between"] > 0.99).all()


def test_the_law_of_frequencies_by_hand() -> None:
    # concept 2 is more likely after 1 and less likely after 0: signs +, −; concept 1 the same
    copy = ConceptGraph.from_tables(parents=[[], [0]], tables=[0.6, [0.2, 0.8]])
    # independent and unfair: all signs agree
    free = ConceptGraph.from_tables(parents=[[], []], tables=[0.6, 0.3])
    law = broken_link.frequency_law(complete_population([copy, free]))
    assert np.abs(law - [-1.0, 1.0]).max() < ROUNDING
    fair = ConceptGraph.from_tables(parents=[[], []], tables=[0.6, 0.5])
    with pytest.raises(InputError, match="concept 2 are equally frequent"):
        broken_link.frequency_law(complete_population([fair]))


def test_the_summary_tells_trained_from_chance_and_reads_as_it_counts(small: Simulation) -> None:
    found = chance.beside(small, draws=60)
    numbers = chance.summary([found])
    again = chance.summary([chance.beside(small, draws=60)])
    pd.testing.assert_frame_equal(numbers, again)
    trained = numbers.xs("trained", level="control")["mean"]
    nulls_only = numbers[numbers["low"].notna()]
    assert (nulls_only["low"] < nulls_only["mean"]).all()
    assert (nulls_only["mean"] < nulls_only["high"]).all()
    assert nulls_only["p"].between(1 / 61, 1).all()
    ue = numbers.xs("UE", level="cosine")
    assert set(chance.UE_CONTROLS) < set(ue.index.get_level_values("control"))
    table = chance.chance_table(numbers)
    assert float(table.loc[(3, "U"), "trained"].split(" ± ")[0]) == pytest.approx(trained[3, "U"], abs=5e-4)
    low, high = map(float, re.findall(r"-?\d\.\d{3}", table.loc[(3, "E"), "relabelled"])[1:])
    null = numbers.loc[(3, "E", "relabelled")]
    assert (low, high) == pytest.approx((null["low"], null["high"]), abs=5e-4)
    assert list(chance.matched_table(numbers).columns) == list(chance.UE_CONTROLS)


def test_formula_and_simulation_stand_side_by_side() -> None:
    table = chance.formula_table([(3, 3)], draws=400, seed=1000)
    row = table.loc[(3, 3)]
    for name in ("U", "E", "UE"):
        assert row[f"{name} ± drawn"] == pytest.approx(row[f"{name} ±"], rel=0.15)


def test_each_labelling_of_a_trained_model(small: Simulation) -> None:
    table = chance.labelling_table(small)
    assert (table["U"] - small.per_seed().set_index("seed")["unembedding"]).abs().max() < ROUNDING
    assert table["mean U"].abs().max() < ROUNDING
    assert (table["next best"] < table["U"]).eq(table["as linear"] == 1).all()
    found = chance.beside(small, draws=2000)
    expected = 2000 * len(small.seeds) / 840
    assert abs(chance.true_labellings(found) - expected) < 5 * math.sqrt(expected)


def test_the_figure_shows_each_control_in_each_panel(small: Simulation) -> None:
    numbers = chance.summary([chance.beside(small, draws=40)])
    numbers = chance.with_control(numbers, "drawn independently", {3: small.per_seed()})
    assert numbers["mean"][3, "U", "drawn independently"] == numbers["mean"][3, "U", "trained"]
    figure = against_chance(numbers, {"U": "mean cosine U", "between": "mean |cosine| between"})
    assert [axis.get_ylabel() for axis in figure.axes] == ["mean cosine U", "mean |cosine| between"]
    for axis, cosine in zip(figure.axes, ("U", "between"), strict=True):
        drawn = {bars.get_label(): bars for bars in axis.containers}
        assert set(drawn) == {"trained", "drawn independently", "untrained", "relabelled", "Gaussian"}
        for control, bars in drawn.items():
            row = numbers.loc[(3, cosine, control)]
            (segment,) = bars[2][0].get_segments()
            assert bars[0].get_ydata()[0] == row["mean"]
            null = control in ("relabelled", "Gaussian")
            reach = (row["mean"] - row["±"], row["mean"] + row["±"])
            ends = (row["low"], row["high"]) if null else reach
            assert segment[:, 1] == pytest.approx(ends)


def code_of(chapter: str) -> str:
    """The code of a chapter's cells, without comments."""
    cells = CELL.findall((CHAPTERS / f"{chapter}.md").read_text("utf-8"))
    return re.sub(r"^:tags:.*$|#.*$", "", "\n".join(cells), flags=re.MULTILINE)


def test_no_chapter_prints_a_cosine_without_a_control_on_the_list() -> None:
    printing = {path.stem for path in CHAPTERS.glob("*.md") if COSINE.search(code_of(path.stem))}
    listed = {row.chapter for row in PRINTED}
    assert printing - listed == set(), "add what these chapters print to linrep.experiments.cosines.PRINTED"
    assert listed - printing == set(), "these chapters print no cosine any more"
    angles = {chapter for chapter in listed if re.search(r"[\"'.\[]between\b(?!\()", code_of(chapter))}
    told = {row.chapter for row in PRINTED if "between" in row.what or row.chapter == HERE}
    assert angles - told == set(), "these chapters print the cosine between concepts; say so in PRINTED"


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: f"{row.chapter}-{row.cell}")
def test_each_control_is_where_the_list_says(row: Printed) -> None:
    assert row.cell in code_of(row.where)


def test_the_rule_sees_code_and_not_prose() -> None:
    text = '```{code-cell} ipython3\n---\nmystnb:\n  figure:\n    caption: "a cosine between"\n---\nx = 1\n```\n'
    assert CELL.findall(text) == ["x = 1\n"]
    assert not COSINE.search("x = 1")
    assert all(COSINE.search(line) for line in ('table["U"]', "run.matched.mean()", "arms_table(arms, COSINES)"))


def test_the_list_in_the_book_links_to_every_chapter_and_escapes() -> None:
    page = printed_html()
    for row in PRINTED:
        assert f'href="{row.chapter}.html"' in page
        assert (CHAPTERS / f"{row.where}.md").is_file()
    assert page.count("<tr>") == len(PRINTED) + 1
    assert page.count("<th>") == len(HEADS)
    odd = printed_html([Printed("training", "a < b", "c & d", HERE, "x")])
    assert all(part in odd for part in ("a &lt; b", "c &amp; d", 'href="chance.html"'))


def test_unknown_entries_make_no_pairs_that_share_a_context() -> None:
    # what all the formulas rest on: within one concept each context is in one pair at most
    contexts = all_contexts(3)
    for concept, pairs in enumerate(counterfactual_pairs(contexts)):
        assert len(np.unique(pairs)) == pairs.size == int((contexts[:, concept] != UNKNOWN).sum())
