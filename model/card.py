"""A bundle's manifest in, its model card (Markdown) out."""

from typing import Any

RENDERED = "synth"  # the kind of a dataset that our own generator made


def model_card(manifest: dict[str, Any]) -> str:
    """What the bundle was trained on, its figures, and what it must not be used for."""
    training, metrics = manifest["training"], manifest["metrics"]
    counts = training["pairs"]
    return f"""# Model card: {manifest["system"]} on the {manifest["profile"]} profile

A video's picture in, a ranking of music out: both are mapped into one space of {manifest["dim"]} dimensions,
where the cosine says how well they go together. Method: YuYin (Ma et al. 2023,
doi 10.1186/s13636-023-00306-6), trained from nothing by this project's own code with the preset
`{training["preset_name"]}`.

## Trained on

{_source(training)}
{counts["train"]} pairs to train on, {counts["evaluation"]} to choose the epoch by.
Features: {", ".join(sorted(manifest["recipe"]["extractors"].values()))}.
Categories: {", ".join(manifest["categories"])}. Tags: {", ".join(manifest["tags"])}.

## Figures

On {metrics["pairs"]} pairs ({metrics["tracks"]} tracks) {_judged(manifest)}
95 % intervals by bootstrap over tracks.

| right is | direction | R@1 | R@10 | 95 % | chance | median rank | of |
| --- | --- | --- | --- | --- | --- | --- | --- |
{_figures(metrics)}

The threshold of `no_good_match` is a score of {manifest["no_match_threshold"]:.4f}: the best track of a pool
that holds their own track lies below it for 5 % of the evaluation videos.

## Must not be used for

* {_limit(training)}
* Judging people: the features see colour, light, movement and sound, and nothing else was asked of them.
* Deciding what may be published: a rank says nothing about rights, licences or taste.
* Comparing with the figures in the paper: other data, other features, another pool.
"""


def _rendered(training: dict[str, Any]) -> bool:
    return bool(training["dataset_kind"] == RENDERED)


def _source(training: dict[str, Any]) -> str:
    name = f"dataset {training['dataset_id']}"
    if _rendered(training):
        return (
            f"Adverts and music rendered by this project's own generator ({name}): no real advert, no person."
        )
    return f"The pairs of video and music that its owner gave ({name}):"


def _judged(manifest: dict[str, Any]) -> str:
    if manifest["metrics"]["split"] == "test":
        return f"of dataset {manifest['metrics_dataset_id']} that training never saw."
    return "that the epoch was chosen by: on others expect a little less."


def _limit(training: dict[str, Any]) -> str:
    if _rendered(training):
        return (
            "A promise of quality on real adverts: it has seen rendered ones only. It is there so that the "
            "first command works; train on your own finished adverts before you rely on it."
        )
    return "Adverts unlike those it was trained on, without a look at its figures on them first."


def _figures(metrics: dict[str, Any]) -> str:
    meaning = {"strict": "the own clip", "shared": "any clip of the same track"}
    rows = []
    for result in metrics["results"]:
        if result["protocol"] not in meaning:
            continue
        r1, r10 = result["recall"]["1"], result["recall"]["10"]
        rows.append(
            f"| {meaning[result['protocol']]} | {result['direction']} "
            f"| {r1['value']:.3f} | {r10['value']:.3f} "
            f"| {r10['low']:.3f} to {r10['high']:.3f} | {r10['chance']:.3f} "
            f"| {result['median_rank']:g} | {result['pool']} |"
        )
    return "\n".join(rows)
