"""`yuyin dataset adsynth`: a world's name in, a dataset of made features and its probe card out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from yuyin.cli.options import MAX_SEED, AsJson
from yuyin.cli.progress import bar


def adsynth(
    out: Annotated[Path, typer.Option("-o", "--out", help="The dataset folder to write.")],
    world: Annotated[
        str,
        typer.Option(help="default, or a control: linear, noE, noT, clean, null, kappa1, cold, hard."),
    ] = "default",
    pairs: Annotated[int, typer.Option(help="How many; the paper has 98071.")] = 24_000,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_SEED,
            help="The instance: 11, 12, 13 to tune systems on, 21, 22, 23 for final tables.",
        ),
    ] = 11,
    dims: Annotated[
        Literal["paper", "small"],
        typer.Option(help="frames/audio/emotion/text of 2048/768/988/768, or of 512/192/247/192."),
    ] = "small",
    sequences: Annotated[
        bool, typer.Option("--sequences/--pooled", help="A row a second, or the mean of each clip's rows.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Make pairs of features whose right answers and whose ceiling are known, without video or sound.

    Editors of known taste choose among 7,500 tracks; features are random maps of what ads and tracks are
    like, with noise, nuisance and speech over the music. The card tells how much of each latent each feature
    tells (R2 of ridge and network probes), and the R@10 of who knows the latents (pmi, posterior) or reads
    them with those probes (reference). A control world changes one thing whose effect is known beforehand.
    """
    from model.datasets.adsynth.generate import Plan, generate

    with bar("making pairs") as progress:
        card = generate(out, Plan(world, pairs, seed, dims, sequences), progress)
    if as_json:
        typer.echo(json.dumps(card))
        return
    console = Console()
    console.print(_probe_table(card), _recall_table(card))
    typer.echo(f"{out}: {pairs} pairs of world {world}, seed {seed}")
    typer.echo(f"next: yuyin compare {out}; yuyin train {out} -o runs/first")


def _probe_table(card: dict[str, Any]) -> Table:
    table = Table("feature", "latent", "ridge", "network", title="probe card: R2 on the test split")
    for row in _probe_rows(card):
        table.add_row(*row)
    return table


def _probe_rows(card: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for feature, probes in card["probes"].items():
        for latent, ridge in probes["ridge"].items():
            yield feature, latent, f"{ridge:.3f}", f"{probes['network'][latent]:.3f}"


def _recall_table(card: dict[str, Any]) -> Table:
    scorers: dict[str, dict[str, float]] = card["recall_at_10"]
    pools = list(dict.fromkeys(pool for hits in scorers.values() for pool in hits))
    table = Table("R@10", *scorers, title="who knows the latents, or reads them")
    for pool in pools:
        table.add_row(pool, *(f"{hits[pool]:.3f}" if pool in hits else "" for hits in scorers.values()))
    return table
