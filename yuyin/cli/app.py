"""The tree of commands: one file per group, joined here."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from model.errors import Corrupt
from yuyin.cli import (
    compare,
    dataset,
    demo,
    doctor,
    evaluate,
    export,
    features,
    index,
    keys,
    models,
    recommend,
    serve,
    train,
    worker,
)


class Commands(TyperGroup):
    """The tree, in which a file that ends too early is no Ctrl-D, as it would be for typer."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise Corrupt(f"a file is empty or cut off ({error!r}): make it again") from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Self-hosted music recommendation for video ads: a rough cut in, ranked tracks of your pool out.",
    epilog="Start with `yuyin demo`, then `yuyin index build YOUR_MUSIC` and `yuyin serve`.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"yuyin {version('yuyin')}")
        raise typer.Exit


@app.callback()
def root(
    shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Every command explains itself with --help; the store is --store DIR or YUYIN_STORE."""


app.command(rich_help_panel="Use")(demo.demo)
app.command(rich_help_panel="Use")(recommend.recommend)
app.command(rich_help_panel="Use")(serve.serve)
app.command(rich_help_panel="Use")(worker.worker)
app.command(rich_help_panel="Use")(doctor.doctor)
app.add_typer(index.app, name="index", rich_help_panel="Use")
app.add_typer(keys.app, name="keys", rich_help_panel="Use")
app.add_typer(models.app, name="models", rich_help_panel="Use")
app.add_typer(dataset.app, name="dataset", rich_help_panel="Train")
app.add_typer(features.app, name="features", rich_help_panel="Train")
app.command(rich_help_panel="Train")(train.train)
app.command(rich_help_panel="Train")(evaluate.evaluate)
app.command(rich_help_panel="Train")(compare.compare)
app.command(rich_help_panel="Train")(export.export)
