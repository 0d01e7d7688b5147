"""The table of theorems: the claims of the theory chapters, on wide spaces and on a language model, computed afresh."""

import time
from importlib import import_module

from linrep.claims import Claim, claims_record
from linrep.experiments.catalogue import Size
from linrep.results import Record

CHAPTERS: tuple[str, ...] = (
    "table_claims",
    *("linear", "log_odds", "margin", "alignment", "orthogonality", "balance", "loss_role"),
    *("spectrum_claims", "limit_claims", "causes_claims", "width_claims"),
    *("unembedding_claims", "embedding_claims", "winograd_claims", "languages_claims"),
    *("layers_claims", "steering_claims", "room_claims"),
)
"""The modules of these chapters' claims, in reading order; each has `claims() -> list[Claim]`."""


def record(size: Size) -> Record:
    """The record of all claims; both sizes compute what the chapters compute."""
    began = time.perf_counter()
    claims: list[Claim] = []
    for chapter in CHAPTERS:
        claims += import_module(f"linrep.experiments.{chapter}").claims()
    return claims_record(claims, seconds=round(time.perf_counter() - began, 3))
