"""Laws of the latent world: a probability, the one that an independent library gives, sampled as it says."""

import json
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from linrep.concepts import ConceptGraph, all_tokens
from linrep.errors import InputError, TooLargeError


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 10**6))
def test_joint_is_a_positive_distribution_with_parameters_in_range(concepts: int, edges: float, seed: int) -> None:
    graph = ConceptGraph.random(concepts, edges=edges, prob=(0.2, 0.6), seed=seed)
    p = graph.joint()
    assert p.shape == (2**concepts,)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert (p > 0).all()
    assert all(((table >= 0.2) & (table <= 0.6)).all() for table in graph.tables)


@pytest.mark.parametrize("seed", range(5))
def test_joint_equals_pgmpy(seed: int) -> None:
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork

    graph = ConceptGraph.random(4, edges=0.7, seed=1000 + seed)
    network = DiscreteBayesianNetwork()
    network.add_nodes_from([str(i) for i in range(4)])
    network.add_edges_from([(str(a), str(b)) for a, b in graph.digraph().edges])
    for concept, (parents, table) in enumerate(zip(graph.parents, graph.tables, strict=True)):
        ones = table.reshape(-1)
        evidence = [str(j) for j in parents]
        cpd = TabularCPD(str(concept), 2, [1 - ones, ones], evidence=evidence, evidence_card=[2] * len(evidence))
        network.add_cpds(cpd)
    factor = VariableElimination(network).query([str(i) for i in range(4)], show_progress=False)
    theirs = np.transpose(factor.values, [factor.variables.index(str(i)) for i in range(4)]).reshape(-1)
    np.testing.assert_allclose(graph.joint(), theirs, atol=1e-12)


def test_samples_follow_the_joint() -> None:
    graph = ConceptGraph.random(3, edges=1, seed=7)
    samples = graph.sample(40_000, seed=7)
    counts = np.bincount(samples @ [4, 2, 1], minlength=8)
    assert stats.chisquare(counts, 40_000 * graph.joint()).pvalue > 1e-3
    wrong = ConceptGraph.random(3, edges=1, seed=8).joint()
    assert stats.chisquare(counts, 40_000 * wrong).pvalue < 1e-6


def test_a_seed_fixes_the_graph_and_more_edges_are_nested() -> None:
    sparse, dense = (ConceptGraph.random(6, edges=edges, seed=3) for edges in (0.3, 0.8))
    again = ConceptGraph.random(6, edges=0.3, seed=3)
    assert sparse.parents == again.parents
    assert all(np.array_equal(a, b) for a, b in zip(sparse.tables, again.tables, strict=True))
    assert set(sparse.digraph().edges) < set(dense.digraph().edges)
    assert ConceptGraph.random(6, edges=0, seed=3).digraph().number_of_edges() == 0
    assert ConceptGraph.random(6, edges=1, seed=3).digraph().number_of_edges() == 15


def test_tokens_are_all_concept_vectors_in_order() -> None:
    np.testing.assert_array_equal(all_tokens(3), list(product((0, 1), repeat=3)))


def test_explicit_tables_give_the_joint_by_hand(tmp_path) -> None:
    content = {"parents": [[], [0]], "tables": [0.25, [0.5, 0.9]]}
    (tmp_path / "graph.json").write_text(json.dumps(content))
    graph = ConceptGraph.read(tmp_path / "graph.json")
    np.testing.assert_allclose(graph.joint(), [0.375, 0.375, 0.025, 0.225])
    assert graph.to_dict() == content


@pytest.mark.parametrize(
    ("parents", "tables", "message"),
    [
        ([[1], [0]], [[0.5, 0.5], [0.5, 0.5]], "cycle: 1 -> 2 -> 1"),
        ([[0]], [[0.5, 0.5]], "cycle: 1 -> 1"),
        ([[], [2]], [0.5, [0.5, 0.5]], "concept 2 has parents [2]"),
        ([[], []], [0.5, 1.0], "concept 2 has probability 1.0"),
        ([[], []], [0.5, float("nan")], "concept 2 has probability nan"),
        ([[], [0]], [0.5, 0.5], "concept 2 has a table of shape ()"),
        ([[]], ["x"], "a table 'x'; tables hold numbers only"),
        ([[]], [True], "tables hold numbers only"),
        ([[], [0]], [0.5, [0.5, [0.1, 0.2]]], "ragged"),
        ([[], [0.0]], [0.5, [0.5, 0.5]], "a parent 0.0; parents are whole numbers"),
        ([[], []], [0.5], "2 lists of parents and 1 tables"),
    ],
)
def test_what_is_no_world_is_refused(parents, tables, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as refusal:
        ConceptGraph.from_tables(parents, tables)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["{", "[]", '{"parents": 3, "tables": 4}', '{"tables": []}'])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content: str) -> None:
    (tmp_path / "graph.json").write_text(content)
    with pytest.raises(InputError, match="graph"):
        ConceptGraph.read(tmp_path / "graph.json")


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"cannot read the graph .*nowhere\.json"):
        ConceptGraph.read(tmp_path / "nowhere.json")


def test_what_does_not_fit_in_memory_is_refused_with_its_size() -> None:
    with pytest.raises(TooLargeError, match=r"2\^50 concept vectors would take .* PB of memory"):
        all_tokens(50)
    with pytest.raises(TooLargeError, match="a graph of 10000000 concepts"):
        ConceptGraph.random(10**7, seed=0)
    with pytest.raises(TooLargeError, match="the tables of a graph of 300 concepts"):
        ConceptGraph.random(300, edges=1, seed=0)
