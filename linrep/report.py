"""What the command prints: plain tables of results."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from linrep.claims import Claim, shown
from linrep.memory import describe_bytes
from linrep.results import Record
from linrep.simulate import MEASURES, Simulation
from linrep.sweep.plan import Plan

_HEADS = {
    "kl": "KL (nats)",
    "unembedding": "U",
    "embedding": "E",
    "matched": "UE",
    "between": "between",
    "imbalance": "imbalance",
}


def print_simulation(simulation: Simulation) -> None:
    """Mean ± standard error over all replicates and over the fitted ones."""
    record = simulation.to_record().body
    parts = [("all", len(simulation.seeds), record), ("fitted", record["fitted"]["number"], record["fitted"])]
    table = Table("", *(f"{label} ({count})" for label, count, _ in parts))
    for name in MEASURES:
        table.add_row(_HEADS[name], *(_cell(part, name) if count else "-" for _, count, part in parts))
    console = Console()
    console.print(
        f"m = {simulation.setting.concepts}, k = {simulation.setting.width}, {simulation.setting.optimizer}, "
        f"step size {simulation.pace.step_size:g}, {simulation.pace.steps} steps (clock {simulation.clock:g}), "
        f"{simulation.seconds:.1f} s",
        highlight=False,
    )
    console.print(table)


def print_sweep(record: Record) -> None:
    """One row for each setting: the fields that vary, how many seeds and fitted ones, mean ± standard error of all."""
    settings, grid = record.body["settings"], record.config["grid"]
    varied = [name.replace("-", "_") for name, values in grid.items() if len(values) > 1]
    table = Table(*varied, "seeds", "fitted", *(Column(head, no_wrap=True) for head in _HEADS.values()))
    for setting in settings:
        counts = (str(setting["replicates"]), str(setting["fitted"]["number"]))
        table.add_row(
            *(escape(_value(name, setting[name])) for name in varied),
            *counts,
            *(_cell(setting, name) for name in MEASURES),
        )
    console = Console(width=200)
    console.print(f"{len(settings)} setting(s), {record.seconds:.1f} s", highlight=False)
    console.print(table)


def print_plan(plan: Plan) -> None:
    """What a sweep was asked for, before any work."""
    for line in (
        f"{len(plan.points):,} setting(s), {plan.runs:,} run(s), {plan.searches:,} search(es) for a pace, "
        f"seeds {plan.seeds[0]} to {plan.seeds[-1]}",
        f"largest run: {plan.largest}",
        f"memory: about {describe_bytes(plan.bytes)}",
    ):
        Console(soft_wrap=True).print(line, highlight=False)


def print_models(models: Sequence[Any]) -> None:
    """One row for each known model."""
    table = Table("model", "licence", "size", "sha256", "present", "converted")
    for model in models:
        size = "–" if model.bytes is None else f"{model.bytes / 1e6:.1f} MB"
        digest = f"Hub: {model.package}" if model.sha256 is None else model.sha256
        table.add_row(model.name, model.licence, size, digest, _yes(model.present), _yes(model.converted))
    Console(width=160).print(table)
    for model in models:
        if model.terms is not None:
            print(f"{model.name}: `linrep models get` asks you to accept the terms at {model.terms}")


def as_text(table: pd.DataFrame, *, decimals: int = 3) -> pd.DataFrame:
    """The table as text, column by column: whole numbers as they are, others with a fixed number of decimals.

    So a table of counts and measures can be turned on its side without its counts becoming 20.000. What is not there
    (NaN in the table) is shown as a dash.
    """
    columns = {}
    for name, column in table.items():
        shape = "{:,}" if column.dtype.kind in "iub" else f"{{:.{decimals}f}}"
        columns[name] = column.map(shape.format).where(column.notna(), "–")
    return pd.DataFrame(columns, index=table.index, columns=table.columns)


def print_claims(claims: Sequence[Claim]) -> None:
    """One row for each claim; its statement, hypotheses and place are in the book's table of theorems."""
    table = Table(
        Column("claim", no_wrap=True), "source", Column("verdict", no_wrap=True), "number", "control", "paper", "where"
    )
    for claim in claims:
        numbers = (shown(claim.number), shown(claim.control), "" if claim.paper is None else shown(claim.paper))
        table.add_row(*(escape(text) for text in (claim.key, claim.source, claim.verdict, *numbers, claim.where)))
    Console(width=140).print(table)


def _cell(part: Mapping[str, Any], name: str) -> str:
    mean, stderr = part["mean"][name], part["stderr"][name]
    return f"{mean:.3f}" if stderr is None else f"{mean:.3f} ± {stderr:.3f}"


def _value(name: str, value: Any) -> str:
    """A value of a grid's field; null has a word of its own."""
    if value is None:
        return {"init_scale": "linear", "graph": "random"}.get(name, "all")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _yes(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"
