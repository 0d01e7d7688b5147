"""The claims of the chapter on the spectrum: each verdict follows from numbers, by the rule in its docstring."""

import pandas as pd

from linrep.claims import Claim
from linrep.experiments.spectra import identity_table, spectra_along
from linrep.pilot import CLOCKS

SEEDS = range(10)

FLOAT = 1e-9
"""Identities hold to rounding: far below this, in double precision."""

OWN, ALONG = "degree 2, own dimension", "degree 2, along concept 1"


def claims(kinds: pd.DataFrame | None = None, courses: pd.DataFrame | None = None) -> list[Claim]:
    """The claims of the chapter, from its tables; what is not given is computed as the chapter does.

    Args:
        kinds: of `identity_table`. courses: of `spectra_along`.
    """
    kinds = identity_table(seeds=SEEDS, clock=CLOCKS[1]) if kinds is None else kinds
    courses = spectra_along(seeds=SEEDS, clock=CLOCKS[2]) if courses is None else courses
    return [degree_one(kinds), identity(kinds), pairs(courses)]


def degree_one(kinds: pd.DataFrame) -> Claim:
    """New: degree two leaves a concept linear only along its own direction, and then another one is bent."""
    number, control = (float(kinds["U of concept 1"][name]) for name in (ALONG, OWN))
    pays = max(kinds["degree 1"][ALONG], kinds["U"][ALONG]) < 1 - FLOAT
    return Claim(
        key="spectrum-degree-one",
        statement="Concept i is linear exactly if all b_S with i in S are multiples of one vector with a positive "
        "factor; all concepts are, in different directions, only if no set of two or more has weight.",
        source="ours",
        hypotheses="H1 all tokens, H2 for the second part: no two concepts in directions ± the same",
        verdict="new" if pays and number > 1 - FLOAT > control + FLOAT else "different",
        measured="U of concept 1 of three, a quarter of its weight at one pair of concepts, along its own direction",
        number=number,
        broken="the same weight in a dimension of its own",
        control=control,
        where="spectrum:prop-degree-one",
    )


def identity(kinds: pd.DataFrame) -> Claim:
    """Holds if the weighted cosine is the predicted one in every table, and the plain one is not where lengths vary."""
    number, control = float(kinds["identity off by"].max()), float(kinds["U off by"]["normal rows"])
    equal = float(kinds["U off by"][OWN])
    return Claim(
        key="spectrum-weight",
        statement="The length-weighted mean cosine of concept i is (n w_i − 1)/(n − 1), w_i its share of degree one "
        "and n = 2^(m−1); the plain one too if its steering vectors are equally long.",
        source="ours",
        hypotheses="H1 all tokens, H2 for the plain cosine: steering vectors of one length",
        verdict="holds in range" if max(number, equal) < FLOAT and control > 0.02 else "different",
        measured="largest |weighted − predicted| over trained, permuted, normal and placed tables, m = 3, 10 seeds",
        number=number,
        broken="H2: largest |plain − predicted| in tables of normal rows",
        control=control,
        where="spectrum:prop-weight",
    )


def pairs(courses: pd.DataFrame) -> Claim:
    """New: at every clock the share at k = 8 is above twice that at k = 3, two standard errors of each apart."""
    share, error = courses["g degree 2"], courses["g degree 2 ±"]
    low, high = share.loc[8] - 2 * error.loc[8], 2 * (share.loc[3] + 2 * error.loc[3])
    clock = int(courses.index.get_level_values("clock").max())
    return Claim(
        key="spectrum-pairs",
        statement="In eight dimensions three concepts have more than twice as much of the words' weight at pairs as in "
        "three.",
        source="ours",
        hypotheses="H1 k = 8 for m = 3, H2 descent from N(0, 0.1²)",
        verdict="new" if bool((low > high).all()) else "undecided",
        measured=f"share of degree two in the unembeddings, 10 random worlds, clock {clock:,}",
        number=float(share.loc[(8, clock)]),
        broken="H1: k = 3",
        control=float(share.loc[(3, clock)]),
        where="spectrum:sec-spectrum-training",
    )
