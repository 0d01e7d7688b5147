"""The command `linrep probe`."""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linrep.cli_options import JsonFile, ModelDevice, Version, check_targets, emit
from linrep.errors import InputError

if TYPE_CHECKING:  # they import torch, which --help does not need
    from linrep.llm.contexts import ContextConcept
    from linrep.llm.words import WordPairs
    from linrep.results import Record

BUILT_IN = "builtin"
"""What stands for linrep's own contexts."""

Page = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page that needs no other file.")]
Figures = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the figures, as png and svg.")]


def probe_command(
    model: Annotated[str, typer.Option(metavar="NAME|PATH|HUB-ID", help="The language model.")],
    pairs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Word pairs, a file per concept [built in].")
    ] = None,
    contexts: Annotated[
        Path | None,
        typer.Option(metavar="FILE|builtin", help="Context pairs: concept, tab, context 0, tab, context 1."),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Measure a model of the same shape with random weights too.")
    ] = False,
    figures: Figures = None,
    html: Page = None,
    seed: Annotated[int, typer.Option(help="Seed of the nulls.")] = 0,
    device: ModelDevice = "cpu",
    batch: Annotated[int, typer.Option(help="Contexts in one pass.")] = 16,
    json: JsonFile = None,
    version: Version = False,
) -> None:
    """Measure concepts in a language model: its words, its contexts against them, and what chance would give."""
    from linrep.llm.full_probe import full_probe
    from linrep.llm.model import load_model, open_unembedding
    from linrep.report_probe import print_probe
    from linrep.results import Record

    began = time.perf_counter()
    _check(json, html, figures)
    concepts, texts = _read(pairs, contexts)
    whole = texts is not None or untrained
    opened = load_model(model, device=device) if whole else open_unembedding(model, device=device)
    found = full_probe(opened, concepts, texts, untrained=untrained, seed=seed, batch=batch, progress=True)
    config = {
        "model": model,
        "pairs": "built in" if pairs is None else _text(pairs),
        "contexts": None if contexts is None else _text(contexts),
        "untrained": untrained,
        "device": device,
        "batch": batch,
    }
    record = Record("probe", config, (seed,), "concepts", found, round(time.perf_counter() - began, 3))
    _draw(record, html, figures)
    if json is None:
        print_probe(found)
        for place in (html, figures):
            if place is not None and place.exists():
                print(f"written: {_text(place)}")
    else:
        emit(record, json)


def _check(json: Path | None, html: Path | None, figures: Path | None) -> None:
    """Refuse places that cannot take the results, before the work."""
    from linrep.files import check_folder_target

    check_targets(json, html=html)
    if html is not None or figures is not None:
        from linrep.llm.quiet import require_drawing

        require_drawing()
    if figures is None:
        return
    from linrep.llm.drawings import FILES

    if str(figures) == "-" or figures.resolve() in {path.resolve() for path in (json, html) if path is not None}:
        raise InputError(f"--figures is {figures}; a folder's name is needed, and no other option's")
    check_folder_target(figures, "--figures", FILES)


def _read(pairs: Path | None, contexts: Path | None) -> "tuple[list[WordPairs], list[ContextConcept] | None]":
    """The concepts as words, and as contexts when asked for."""
    from linrep.llm.alignment import require_shared
    from linrep.llm.contexts import read_contexts
    from linrep.llm.words import read_pairs

    concepts = read_pairs(pairs)
    if contexts is None:
        return concepts, None
    texts = read_contexts(None if str(contexts) == BUILT_IN else contexts)
    require_shared([text.name for text in texts], [concept.name for concept in concepts])
    return concepts, texts


def _draw(record: "Record", html: Path | None, figures: Path | None) -> None:
    """Write the figures and the page."""
    if html is None and figures is None:
        return
    from linrep.files import replacing, write_together
    from linrep.llm.drawings import MOST_DRAWN, drawings, files
    from linrep.llm.report_html import report_html

    drawn = drawings(record.body)
    if figures is not None and drawn:
        write_together(figures, files(drawn))
    elif figures is not None:
        print(f"linrep: warning: no figure: more than {MOST_DRAWN} concepts are too many to draw", file=sys.stderr)
    if html is not None:
        page = report_html(record, drawn, command=_command(record.config, record.seeds[0]))
        with replacing(html) as part:
            part.write_text(page, encoding="utf-8")


def _command(config: Mapping[str, Any], seed: int) -> str:
    """The command that gives these numbers again."""
    given = {"model": config["model"], "seed": seed, "device": config["device"]}
    given |= {} if config["pairs"] == "built in" else {"pairs": config["pairs"]}
    given |= {} if config["contexts"] is None else {"contexts": config["contexts"]}
    options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    return shlex.join(["linrep", "probe", *options, *(["--untrained"] if config["untrained"] else [])])


def _text(path: Path) -> str:
    """A path as text that can be written, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "replace")
