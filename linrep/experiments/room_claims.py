"""The claims of the chapter on room, from its record: each verdict follows from numbers, by the rules of `room_rules`.

"New" is a lesson that shows in the model, "different" a prediction that failed there.
"""

import pandas as pd

from linrep.claims import Claim
from linrep.experiments import room_views as views
from linrep.experiments.room_rules import DIMS
from linrep.stats import MARGIN, Comparison

STRAIGHT = 0.95
"""A U above this is linear."""

WHERE = "room"


def claims(
    table: pd.DataFrame | None = None, summary: pd.DataFrame | None = None, starts: pd.DataFrame | None = None
) -> list[Claim]:
    """The claims of the chapter, from its record; a table that is not given is made as the chapter makes it.

    Args:
        table: of `advantage_table`. summary: of `share_summary`. starts: of `fall_table`.
    """
    table = views.advantage_table() if table is None else table
    sound = control(views.simulated(), _wide(), _narrow())
    return [
        sound,
        leading("components", table, sound.verdict == "new"),
        leading("predictions", table, sound.verdict == "new"),
        pairs(views.share_summary() if summary is None else summary, *views.bounds()),
        tables(views.fall_table() if starts is None else starts),
    ]


def control(means: pd.DataFrame, wide: Comparison, narrow: Comparison) -> Claim:
    """New: at k = 8 the m leading dimensions have more than all, and a U above 0.95; at k = m fewer do not have more.

    Args:
        means: of `simulated`. wide: r = m less r = k, at k = 8. narrow: r = m − 1 less r = m, at k = m.
    """
    number = float(means["components U m"][3, 8, "0.1"])
    good = wide.low > MARGIN and number > STRAIGHT and not narrow.low > MARGIN
    return Claim(
        key="room-control",
        statement="In a simulated space with more dimensions than concepts, words are linear in as many leading "
        "dimensions as there are concepts.",
        source="ours",
        hypotheses="H1 the m leading principal components, H2 k = 2^m, start N(0, 0.1²)",
        verdict="new" if good else "undecided",
        measured="U in the leading three of eight dimensions, three concepts, ten seeds, clock 10,000",
        number=number,
        broken="H1: all eight dimensions",
        control=float(means["components U full"][3, 8, "0.1"]),
        where=f"{WHERE}:sec-room-control",
    )


def leading(order: str, table: pd.DataFrame, sound: bool) -> Claim:
    """New: by the rule of asking 1, if the controls hold; different: there is no such gain; undecided else.

    Args:
        table: of `advantage_table`. sound: whether the positive control came out.
    """
    words: dict[str, views.Word] = dict(table["by the rule"][order])
    trusted = sound and words["placed"] != "new"
    what = {"components": "principal components", "predictions": "directions of its predictions"}[order]
    return Claim(
        key=f"room-{order}",
        statement=f"In SmolLM2-135M concepts are more linear in its leading {what} than in all dimensions.",
        source="ours",
        hypotheses=f"H1 concepts of words, H2 at most a quarter of the dimensions, {order}",
        verdict=words["trained"] if trusted else "undecided",
        measured="mean cosine within a concept less its null, at the r chosen on other concepts less that of all "
        "dimensions, mean over 27 concepts",
        number=float(table["more"][order, "trained"]),
        broken="H1: placed concepts, spread over the dimensions as words are",
        control=float(table["more"][order, "placed"]),
        where=f"{WHERE}:sec-room-leading",
    )


def pairs(summary: pd.DataFrame, least: float, most: float) -> Claim:
    """New: between the simulated k = m and k = 2^m under both products; different: outside under both; undecided else.

    Args:
        summary: of `share_summary`. least, most: of `bounds`.
    """
    return Claim(
        key="room-pairs",
        statement="Squares of words in SmolLM2-135M have more of their weight at pairs of concepts than simulated "
        "tables at k = m, and less than the widest.",
        source="ours",
        hypotheses="H1 four words that cross two concepts",
        verdict=views.share_word(summary, least, most),
        measured=f"share at the pair, Euclidean, mean over families; simulated {least:.3f} at k = m and {most:.3f} in "
        "the widest space",
        number=float(summary["share"]["euclidean"]),
        broken="H1: the fourth word from another square",
        control=float(summary["fourth"]["euclidean"]),
        where=f"{WHERE}:sec-room-pairs",
    )


def tables(starts: pd.DataFrame) -> Claim:
    """New: from N(0, 0.1²) the widest is below the best by the rule of asking 3; different: it is not; undecided else.

    Args:
        starts: of `fall_table`.
    """
    usual, small = DIMS
    words: dict[float, views.Word] = dict(starts["by the rule"])
    return Claim(
        key="room-tables",
        statement="Free tables fitted to the predictions of SmolLM2-135M have less linear words the wider they are, "
        "from some width on.",
        source="ours",
        hypotheses="H1 start N(0, 0.1²)",
        verdict=words[usual],
        measured="mean cosine within a concept less its null, at the k chosen on other concepts less that of k = 512, "
        "mean over 27 concepts",
        number=float(starts["more"][usual]),
        broken="H1: start N(0, 0.01²)",
        control=float(starts["more"][small]),
        where=f"{WHERE}:sec-room-tables",
    )


def _wide() -> Comparison:
    return views.simulated_gain(k=8, narrow="m", wide="full")


def _narrow() -> Comparison:
    return views.simulated_gain(k=3, narrow="m-1", wide="full")
