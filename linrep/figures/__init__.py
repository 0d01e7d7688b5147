"""Figures: arrays in, Figure out. Nothing is computed here and nothing is saved.

Colours are seaborn's colour-blind palette; every figure has a white ground, so that it reads in dark mode and in print.
One module for each subject; the names of all are at hand in this package.
"""

from linrep.figures.engine import cost_of_a_logit
from linrep.figures.incomplete import cosines_by_clock, fewer_dimensions
from linrep.figures.probe import cosine_heatmaps, within_against_null
from linrep.figures.simulation import (
    against_clock,
    beside_paper,
    concept_graph,
    probability_table,
    unembedding_cube,
)
from linrep.figures.tables import training_time

__all__ = [
    "against_clock",
    "beside_paper",
    "concept_graph",
    "cosine_heatmaps",
    "cosines_by_clock",
    "cost_of_a_logit",
    "fewer_dimensions",
    "probability_table",
    "training_time",
    "unembedding_cube",
    "within_against_null",
]
