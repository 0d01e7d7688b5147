"""The command `linrep sweep`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from linrep.cli_options import INTERRUPTED, JsonFile, Version, check_targets, emit


def sweep_command(
    grid: Annotated[
        Path, typer.Option(metavar="FILE", help='JSON: lists of values, {"concepts": [3, 4], "dim": [3]}.')
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where each finished run is kept.")],
    seeds: Annotated[int, typer.Option(help="Number of replicates of each setting.")] = 20,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    workers: Annotated[int, typer.Option(help="Local processes; 0: this one, with all cores.")] = 0,
    cluster: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler: tcp://host:8786.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the grid, say how large it is, and stop.")] = False,
    json: JsonFile = None,
    version: Version = False,
) -> None:
    """Train every setting of a grid over R seeds. Started again, it goes on where it was."""
    from linrep.report import print_plan, print_sweep
    from linrep.sweep.grid import read_grid
    from linrep.sweep.simulations import checked_plan, sweep

    check_targets(json)
    fields, replicates = read_grid(grid), range(seed, seed + seeds)
    if dry_run:
        print_plan(checked_plan(fields, seeds=replicates, workers=workers, cluster=cluster))
        return
    try:
        record = sweep(fields, seeds=replicates, folder=out, workers=workers, cluster=cluster, progress=True)
    except KeyboardInterrupt:
        print(f"linrep: interrupted; finished runs are in {out}: the same command goes on from there", file=sys.stderr)
        sys.exit(INTERRUPTED)
    if json is None:
        print_sweep(record)
    else:
        emit(record, json)
