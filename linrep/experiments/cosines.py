"""Where the book prints a cosine, and where its control is.

A place is a chapter and a fragment of one of its code cells, so that a control cannot leave the book unnoticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

HEADS = ("cosine", "chapter", "control", "where")

HERE = "chance"
"""The chapter of the controls themselves."""


@dataclass(frozen=True)
class Printed:
    """Cosines of a chapter and the control that they stand beside.

    Attributes:
        chapter: the chapter that prints them. what: which cosines.
        control: what they would be if there were nothing to see. where: the chapter of that control.
        cell: a fragment of the code that makes the control, in a cell of that chapter.
    """

    chapter: str
    what: str
    control: str
    where: str
    cell: str


PRINTED = (
    Printed(
        "introduction",
        "U, E, UE and between of fair coins, k = 3",
        "starts; rows relabelled. Fair coins have no word frequencies",
        "introduction",
        "relabelled(trained)",
    ),
    Printed("introduction", "the same at k = 8", "formula for any k", HERE, "chance.formula_table"),
    Printed("latent_model", "U, E, UE and between of the world of words", "starts", "latent_model", "untrained("),
    Printed(
        "training",
        "U, E, UE and between of random worlds, m = 3 to 5 (Table 1)",
        "starts; rows relabelled, once for each seed",
        "training",
        "relabelled(row.simulation)",
    ),
    Printed(
        "training",
        "the same, and their history; worlds without edges",
        "the same seeds: 1,000 relabellings, normal rows, broken links",
        HERE,
        "chance.beside",
    ),
    Printed(
        "linear",
        "U and between of tables placed by hand",
        "no chance in it: each row breaks one thing",
        "linear",
        "planted.planted_table()",
    ),
    Printed(
        "linear",
        "U, E, UE and between under gauges, after training and before",
        "orthogonal gauge, which moves nothing",
        "linear",
        'moved.loc["1"',
    ),
    Printed("linear", "U of the known concepts by context set", "starts", "linear", "context_sets.untrained_rows"),
    Printed(
        "linear", "cosine of two steering vectors on the way to a simplex", "its own start", "linear", "approach_table"
    ),
    Printed(
        "log_odds",
        "U and the cosine of projections",
        "dependent worlds under the same explicit model; random coordinates of g",
        "log_odds",
        'arms["explicit, dependent"]',
    ),
    Printed(
        "gradient_descent",
        "smallest cosine of four classifiers",
        "f1 = 2 f0, the hypothesis broken; starts in the table of cases",
        "gradient_descent",
        "stalled_cosines",
    ),
    Printed(
        "gradient_descent",
        "mean cosine of a concept's steering vectors",
        "embeddings held at their random start",
        "gradient_descent",
        "whole.arm_table",
    ),
    Printed(
        "alignment",
        "cosines of two and of many vectors",
        "opposite starts; one hypothesis broken at a time",
        "alignment",
        "joint.broken_arms",
    ),
    Printed(
        "orthogonality",
        "|cos| of a word's difference and a context's (Theorem 7)",
        "one hypothesis broken at a time; starts",
        "orthogonality",
        "orthogonality.controls_table",
    ),
    Printed(
        "orthogonality",
        "|cos| of two sides of a square (Corollary 8)",
        "starts, in the column beside; two sides share a corner",
        "orthogonality",
        'corollary["untrained"]',
    ),
    Printed("orthogonality", "U, E and UE of the same models", "formula for any m and k", HERE, "chance.formula_table"),
    Printed(
        "balance",
        "between, matched and the worst pair of concepts",
        "the same logits, tables put out of balance",
        "balance",
        "balanced_arms.unbalanced_rows",
    ),
    Printed(
        "balance",
        "U, E and UE after gauges and rebalancing",
        "the same logits, gauged",
        "balance",
        "balanced_arms.restored_rows",
    ),
    Printed(
        "loss",
        "U, E, UE and between by loss, k = 3 and 8",
        "no zeros; from N(0, 0.5²)",
        "loss",
        'late.loc["no zeros"]',
    ),
    Printed("loss", "the same, by chance", "formula for k = 3 and 8", HERE, "chance.formula_table"),
    Printed(
        "tables",
        "U, E and UE of Tables 1 and 2 and of Figure 5, m = 3 to 7; other choices; wide spaces",
        "formula for any m and k; m = 3 to 5 relabelled and normal",
        HERE,
        "chance.formula_table",
    ),
    Printed(
        "late_phase",
        "U, E, UE and between along the clock, m = 3 to 5, and where U peaks",
        "worlds without edges and of dose 0; the empty context left out",
        "late_phase",
        "late.turning_table(main)",
    ),
    Printed("late_phase", "the same, by chance", "formula for any m and k", HERE, "chance.formula_table"),
    Printed(
        "ablations",
        "U, E, UE and between with one thing changed, m = 3 to 8",
        "no context that tells anything: nothing known",
        "ablations",
        'views.by_clock(["nothing known"])',
    ),
    Printed("ablations", "the same, by chance", "formula for any m and k", HERE, "chance.formula_table"),
    Printed(
        "incomplete",
        "U, E, UE and between of Tables 3 and 4, Figures 6 and 7a, m = 7 to 12; other choices",
        "clock 1,000, before anything is learned at ten concepts; worlds without edges",
        "incomplete",
        'views.by_clock("table4")',
    ),
    Printed("incomplete", "the same, by chance", "formula for any m and k", HERE, "chance.formula_table"),
    Printed(
        "limit",
        "U, E, UE and between of the margin problem's optimum; U along the regularised path",
        "the linear logits under the same formula and the same factors",
        "limit",
        "limit.candidates_table",
    ),
    Printed("limit", "U and E, by chance", "formula for any m and k", HERE, "chance.formula_table"),
    Printed(
        "spectrum",
        "U, plain and length-weighted, of tables of every kind, and shares by degree",
        "rows dealt out anew; normal rows",
        "spectrum",
        'kinds.loc[["rows dealt out anew", "normal rows"]',
    ),
    Printed(
        "width",
        "U, E, UE and between by width, start and clock, m = 2 to 6",
        "k = m beside every k; starts from 0.01 to 1",
        "width",
        "views.grid(",
    ),
    Printed("width", "the same, by chance", "formula for any m and k", HERE, "chance.formula_table"),
    Printed(
        "causes",
        "U, E, UE and between by optimiser, noise, step, decay and smoothing, k = 3 and 8",
        "descent on the same worlds and starts; the same arms at k = m",
        "causes",
        "causes.effect_grid(3",
    ),
    Printed("causes", "the same, by chance", "formula for any m and k", HERE, "chance.formula_table"),
    Printed(
        "unembedding",
        "mean cosine within a concept",
        "second words dealt out anew; untrained model",
        "unembedding",
        "model.untrained(",
    ),
    Printed(
        "unembedding",
        "between concepts, under three products",
        "random pairs of the same words; untrained model",
        "unembedding",
        "trained.random",
    ),
    Printed(
        "embedding",
        "directions of contexts with directions of words",
        "untrained model; labels permuted; random words, words as frequent, Gaussian rows",
        "embedding",
        "model.untrained(",
    ),
    Printed(
        "embedding",
        "directions of one half of the templates with the other's",
        "no null: the directions of different concepts stand beside it",
        "embedding",
        "embedding.evidence_table",
    ),
    Printed(
        "probe_your_model",
        "within a concept of one's own; its contexts with words",
        "second words dealt out anew; pairs of nonsense; the other concepts",
        "probe_your_model",
        "nonsense.tsv",
    ),
    Printed(
        "winograd",
        "shifts of pairs of contexts with own and others' answers, and with word concepts",
        "answers dealt out anew; untrained models; unrelated contexts; normal vectors",
        "winograd",
        "views.largest().drop(",
    ),
    Printed(
        "languages",
        "directions of contexts, languages and English, with those of words; within and between word concepts",
        "untrained model; random words, words as frequent, Gaussian rows; other content",
        "languages",
        "views.content(",
    ),
    Printed(
        "layers",
        "directions of contexts with directions of words, at every layer",
        "three untrained models; labels permuted; other concepts' words",
        "layers",
        "views.untrained(",
    ),
    Printed(
        "room",
        "mean cosine within a concept, and less its null, in the leading dimensions of a model",
        "placed concepts; untrained model; Gaussian rows; random dimensions",
        "room",
        "views.advantage_table()",
    ),
    Printed(
        "room",
        "U in the leading dimensions of simulated tables",
        "all dimensions beside them; k = m",
        "room",
        "views.simulated_gain(",
    ),
    Printed(
        "room",
        "mean cosine within a concept, less its null, in tables fitted to a model's predictions",
        "second words dealt out anew; a small start",
        "room",
        "views.fall_table()",
    ),
    Printed(
        "theorems",
        "numbers of claims, some of them cosines",
        "each in the column beside its number",
        "theorems",
        "ledger_html(papers(claims))",
    ),
    Printed(HERE, "all of this page", "this page", HERE, "broken_link.arms"),
)


def printed_html(rows: Sequence[Printed] = PRINTED) -> str:
    """An HTML table of the cosines and their controls; chapters are links to pages of the same folder."""
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(row))}</tr>" for row in rows)
    return f'<table class="dataframe ledger">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def _cells(row: Printed) -> tuple[str, str, str, str]:
    """The cells of one row, in the order of `HEADS`."""
    where = "there" if row.where == row.chapter else _link(row.where)
    return escape(row.what), _link(row.chapter), escape(row.control), where


def _link(chapter: str) -> str:
    """A link to a chapter's page."""
    name = "this page" if chapter == HERE else chapter.replace("_", " ")
    return f'<a href="{escape(chapter)}.html">{escape(name)}</a>'
