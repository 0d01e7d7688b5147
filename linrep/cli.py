"""The `linrep` command. It parses, calls, and prints; every refusal is one line on stderr with exit status 2."""

import os
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer
from typer.exceptions import TyperException

from linrep.cli_models import models_app
from linrep.cli_options import INTERRUPTED, Count, Device, JsonFile, Version, check_targets, emit
from linrep.cli_probe import probe_command
from linrep.cli_sweep import sweep_command
from linrep.errors import CacheWarning, InputError, LinrepError, StepSizeWarning

app = typer.Typer(
    name="linrep",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
    help="The origins of linear representations in language models: simulate them, and probe a model for them.",
)
app.add_typer(models_app, name="models")


@app.callback()
def _root(version: Version = False) -> None:
    pass


@app.command("simulate")
def _simulate(
    concepts: Annotated[int | None, typer.Option(help="m, number of concepts [3, or the graph's].")] = None,
    dim: Annotated[int | None, typer.Option(help="k, dimension of the space [as concepts].")] = None,
    edges: Annotated[float, typer.Option(help="Probability of each edge of the random DAG.")] = 0.5,
    prob: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="Range of the tables.")] = (0.3, 0.7),
    graph: Annotated[Path | None, typer.Option(help="A JSON file with parents and tables, for every seed.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of replicates.")] = 20,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    optimizer: Annotated[Literal["gd", "sgd", "adam"], typer.Option()] = "gd",
    step_size: Annotated[float | None, typer.Option(help="[found on pilot seeds; sgd .1, adam .001]")] = None,
    steps: Annotated[int | None, typer.Option(help="[found on pilot seeds by the clock rule]")] = None,
    init_scale: Annotated[float | None, typer.Option(help="S of N(0, S²) [the linear start].")] = None,
    biases: Annotated[bool, typer.Option("--biases", help="Give f and g biases, with the linear start.")] = False,
    masks: Count = 0,
    tokens: Count = 0,
    mask_law: Annotated[
        Literal["fair", "often", "rarely", "size"],
        typer.Option(help="Hide each entry with probability 1/2, 3/4 or 1/4; size: how many first, then which."),
    ] = "fair",
    dtype: Annotated[Literal["float32", "float64"], typer.Option()] = "float64",
    device: Device = "cpu",
    engine: Annotated[
        Literal["auto", "numba", "torch"], typer.Option(help="Compiled, plain torch, or what is possible.")
    ] = "auto",
    json: JsonFile = None,
    save: Annotated[Path | None, typer.Option(help="Write F, G and the graphs, as safetensors.")] = None,
    version: Version = False,
) -> None:
    """Train one setting over R seeds; print U, E and UE with standard errors, or write a record."""
    from linrep.concepts import ConceptGraph
    from linrep.report import print_simulation
    from linrep.setting import Setting
    from linrep.simulate import simulate
    from linrep.tables import save_tables

    check_targets(json, save=save)
    world = None if graph is None else ConceptGraph.read(graph)
    size = concepts if concepts is not None else 3 if world is None else world.concepts
    setting = Setting(
        concepts=size,
        dim=dim,
        edges=edges,
        prob=prob,
        optimizer=optimizer,
        step_size=step_size,
        steps=steps,
        init_scale=init_scale,
        biases=biases,
        masks=masks or None,
        tokens=tokens or None,
        mask_law=mask_law,
        dtype=dtype,
        device=device,
        engine=engine,
        graph=world,
    )
    simulation = simulate(setting, seeds=range(seed, seed + seeds), progress=True)
    if save is not None:
        save_tables(simulation, save)
    if json is None:
        print_simulation(simulation)
    else:
        emit(simulation.to_record(), json)


app.command("sweep")(sweep_command)


@app.command("run")
def _run(
    name: Annotated[str, typer.Argument(help="An experiment; without a known name, the list of them.")],
    size: Annotated[Literal["smoke", "paper"], typer.Option(help="smoke: small, to try it.")] = "paper",
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Where to; - for stdout [results/NAME.json].")
    ] = None,
    version: Version = False,
) -> None:
    """Run a named experiment and write its record, by default the one that the book reads."""
    from linrep.experiments.catalogue import experiment
    from linrep.results import results_folder, unfinished_folder

    run = experiment(name)
    if json is None and size == "smoke":
        raise InputError("--size smoke needs --json FILE: the records in results/ are full-size runs")
    path = json if json is not None else results_folder() / f"{name}.json"
    check_targets(path)
    try:
        record = run(size)
    except KeyboardInterrupt:
        if not any(unfinished_folder(name).glob("*.json")):
            raise
        print("linrep: interrupted; what is finished is kept: the same command goes on from there", file=sys.stderr)
        sys.exit(INTERRUPTED)
    emit(record, path)
    if json is None:
        shutil.rmtree(unfinished_folder(name), ignore_errors=True)
        print(f"written: {path}")


@app.command("claims")
def _claims(
    json: JsonFile = None,
    codecheck: Annotated[Path | None, typer.Option(metavar="FILE", help="Write codecheck.yml.")] = None,
    version: Version = False,
) -> None:
    """The ledger: every claim on theory, wide spaces and language models with its verdict, number and control."""
    from linrep.claims import RECORD, recorded_claims
    from linrep.codecheck import codecheck as as_yaml
    from linrep.files import check_target, replacing
    from linrep.report import print_claims
    from linrep.results import read_record, results_folder

    check_targets(json)
    if codecheck is not None:
        check_target(codecheck, "--codecheck")
        with replacing(codecheck) as part:
            part.write_text(as_yaml(recorded_claims()), encoding="utf-8")
    if json is not None:
        emit(read_record(results_folder() / f"{RECORD}.json"), json)
    elif codecheck is None:
        print_claims(recorded_claims())


app.command("probe")(probe_command)


def _warn(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """A warning as one line."""
    print(f"linrep: warning: {message}", file=sys.stderr)


def _usage(error: TyperException, arguments: Sequence[str]) -> str:
    """The parser's complaint as one line that names the value."""
    text = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    options = getattr(getattr(error, "param", None), "opts", ())
    given = [arguments[i + 1] for i, name in enumerate(arguments[:-1]) if name in options]
    return f"{text} (given: {given[0]})" if given and given[0] not in text else text


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exit status 0, 2 for a refusal or an error of linrep's, 130 when interrupted."""
    # Read when torch is first imported: threads that spin for long slow training tenfold on a busy machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with warnings.catch_warnings():
            for category in (StepSizeWarning, CacheWarning):
                warnings.simplefilter("always", category)
            warnings.showwarning = _warn
            status = app(given, standalone_mode=False)
    except TyperException as error:
        sys.exit(_refuse(_usage(error, given)))
    except LinrepError as error:
        sys.exit(_refuse(str(error)))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except (OSError, OverflowError, MemoryError, RecursionError, UnicodeError) as error:
        sys.exit(_refuse(" ".join(str(error).split()) or type(error).__name__))
    if status == INTERRUPTED:
        print("linrep: interrupted; nothing was written", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse(message: str) -> int:
    print(f"linrep: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
