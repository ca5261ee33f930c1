"""A system and pairs in, its best weights and the figures of every epoch out: one plain loop."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.evaluation.metrics import expected_reciprocal, hits, rank
from model.evaluation.protocol import score_clips
from model.systems.yuyin import YuYin
from model.training.presets import TrainConfig
from model.training.sampler import Pairs, batches

CHUNK = 512  # pairs a forward pass where no gradient is needed: bounds memory only


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch brought; losses in nats, R@10 and MRR strict and on the evaluation split."""

    number: int  # from 1
    of: int
    train_loss: float
    evaluation_loss: float
    evaluation_matching: float
    evaluation_prediction: float
    r10_video_to_music: float
    r10_music_to_video: float
    mrr: float  # mean of both directions
    best: bool  # the weights to keep so far


def fit(
    system: YuYin, pairs: Pairs, config: TrainConfig, progress: Callable[[Epoch], None]
) -> tuple[list[Epoch], dict[str, Tensor]]:
    """Train in place.

    The caller fixes torch's seed (weights, dropout); `config.seed` fixes order and segments.

    Returns:
        All epochs, and the weights of the last one marked best.
    """
    rng = np.random.default_rng(config.seed)
    train, held_out = pairs.rows("train"), pairs.rows("evaluation")
    fit_inputs(system, pairs, train)
    steps = config.epochs * max(1, len(train) // config.batch_size)
    optimizer = torch.optim.AdamW(
        system.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = _schedule(optimizer, config, steps)
    history: list[Epoch] = []
    best: dict[str, Tensor] = {}
    least = np.inf
    for number in range(1, config.epochs + 1):
        train_loss = _epoch(system, pairs, train, config, rng, optimizer, schedule)
        look = _look(system, pairs, held_out)
        regret = {"loss": look["evaluation_loss"], "mrr": -look["mrr"], "last": -number}[config.keep]
        better = regret < least
        if better:
            least, best = regret, {name: value.clone() for name, value in system.state_dict().items()}
        history.append(Epoch(number, config.epochs, train_loss, **look, best=bool(better)))
        progress(history[-1])
    return history, best


def fit_inputs(system: YuYin, pairs: Pairs, train: NDArray[np.int64]) -> None:
    """Set what follows from the training pairs in closed form: every tower's z-score, the linear path."""
    segments = _segments_of(pairs, train)
    with torch.no_grad():
        system.video_inputs.standardise.fit(
            system.video_inputs.pooled(pairs.videos(rows)) for rows in _chunks(train)
        )
        system.music_inputs.standardise.fit(
            system.music_inputs.pooled(pairs.segments(chosen)) for chosen in _chunks(segments)
        )
        system.text_inputs.fit([torch.from_numpy(pairs.texts[pairs.tag[train]])])
        video = torch.cat([system.video_inputs(pairs.videos(rows)) for rows in _chunks(train)])
        music = torch.cat([system.music_inputs(pairs.segments(chosen)) for chosen in _chunks(segments)])
        counts = torch.from_numpy(np.diff(pairs.offsets)[train])
        system.start_linear(video.repeat_interleave(counts, dim=0), music)


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainConfig, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=config.learning_rate, total_steps=steps + 1
        )
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def _epoch(
    system: YuYin,
    pairs: Pairs,
    train: NDArray[np.int64],
    config: TrainConfig,
    rng: np.random.Generator,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One pass over the training pairs; the mean loss of its batches."""
    system.train()
    losses: list[float] = []
    for batch in batches(pairs, train, config.batch_size, rng):
        optimizer.zero_grad(set_to_none=True)
        loss = system.loss(batch).total
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


@torch.no_grad()
def _look(system: YuYin, pairs: Pairs, rows: NDArray[np.int64]) -> dict[str, float]:
    """Figures on held-out pairs: the same L over all of them as one batch, and strict retrieval."""
    system.eval()
    losses = system.loss(pairs.batch(rows, pairs.middle_segments(rows)))
    videos = torch.cat([system.video(pairs.videos(chosen)) for chosen in _chunks(rows)])
    segments = _segments_of(pairs, rows)
    music = torch.cat([system.music(pairs.segments(chosen)) for chosen in _chunks(segments)])
    offsets = np.cumsum([0, *np.diff(pairs.offsets)[rows]], dtype=np.int64)
    scores = score_clips(videos.numpy(), music.numpy(), offsets)
    own = np.eye(len(rows), dtype=np.bool_)
    there, back = rank(scores, own), rank(scores.T, own)
    return {
        "evaluation_loss": float(losses.total),
        "evaluation_matching": float(losses.matching),
        "evaluation_prediction": float(losses.prediction),
        "r10_video_to_music": float(hits(there, 10).mean()),
        "r10_music_to_video": float(hits(back, 10).mean()),
        "mrr": float(np.mean([*expected_reciprocal(there), *expected_reciprocal(back)])),
    }


def _chunks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _segments_of(pairs: Pairs, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """All segments of the clips of some pairs, in the pairs' order."""
    return np.concatenate([np.arange(pairs.offsets[i], pairs.offsets[i + 1]) for i in rows])
