"""A system and pairs in, its best weights and the figures of every epoch out: one plain loop."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.errors import BadOptions
from model.evaluation.metrics import expected_reciprocal, hits, rank
from model.evaluation.protocol import score_clips
from model.systems.batch import Batch
from model.systems.recipe import TrainConfig
from model.systems.system import System, embed_all
from model.training.sampler import Table, batches, taken

EVALUATION_ROWS = 1_000  # at most so many held-out pairs are looked at after an epoch
DECAY_STEPS = 1_000  # after which the learning rate is multiplied with `TrainConfig.decay`
TOGETHER_ROWS = 200  # of a system that has to look at every pair of them: .15 ms each


class Diverged(BadOptions):
    """Weights grew until nothing could be computed with them any more."""

    def __init__(self, epoch: int) -> None:
        """`epoch` counts from 1."""
        super().__init__(f"training diverged in epoch {epoch}: lower learning_rate")


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
    train_s: float = 0.0  # seconds of training since the start, looks not counted


@dataclass(slots=True)
class Progress:
    """Where training stands after an epoch: everything that is needed to go on as if nothing had happened."""

    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    least: float = math.inf  # of what `TrainConfig.keep` watches
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)  # state of the generator that draws batches
    chance: list[Tensor] = field(default_factory=list)  # states of torch's generators: dropout, noise

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights are the best."""
        return [epoch for epoch in self.history if epoch.best][-1]

    @property
    def train_s(self) -> float:
        """Seconds of training so far."""
        return self.history[-1].train_s if self.history else 0.0


def fit(
    system: System,
    table: Table,
    config: TrainConfig,
    after_epoch: Callable[[Progress], None],
    so_far: Progress | None = None,
) -> Progress:
    """Train in place; afterwards the system has the weights of the epoch that was kept.

    The caller fixes torch's seed (weights, dropout); `config.seed` fixes order and segments.

    Args:
        system: its views are fitted, its `start` has not been called.
        table: all pairs as its views see them.
        config: the recipe.
        after_epoch: told after every epoch; what it is given may be stored and handed in again.
        so_far: where a stopped training stood.

    Raises:
        Diverged: if what it gives are no numbers any more.
    """
    rng = np.random.default_rng(config.seed)
    train = table.pairs.rows("train")
    everything = table.all_pairs(train)
    if not system.learns:
        return _closed(system, table, everything, after_epoch)
    steps = config.epochs * max(1, len(train) // config.batch_size)
    optimizer = _optimizer(system, config)
    schedule = _schedule(optimizer, config, steps)
    if so_far is None:
        so_far = Progress()
        system.start(everything)
    else:
        _restore(so_far, system, optimizer, schedule, rng)
    while not _finished(so_far, config):
        number = len(so_far.history) + 1
        clock = time.perf_counter()
        try:
            train_loss = _epoch(
                system, table, train, config, rng, optimizer, schedule, number, so_far.train_s
            )
            train_s = so_far.train_s + time.perf_counter() - clock
            system.settle(everything)
            look = _look(system, table, number)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # torch does not export it
            raise Diverged(number) from error
        _note(so_far, system, config, look, number, train_loss, train_s)
        _store(so_far, system, optimizer, schedule, rng)
        after_epoch(so_far)
    system.load_state_dict(so_far.best)
    return so_far


def _closed(
    system: System, table: Table, everything: Batch, after_epoch: Callable[[Progress], None]
) -> Progress:
    """A system in closed form: one look, nothing to repeat."""
    clock = time.perf_counter()
    system.start(everything)
    system.settle(everything)
    done = Progress()
    _note(done, system, TrainConfig(epochs=1), _look(system, table, 1), 1, 0.0, time.perf_counter() - clock)
    after_epoch(done)
    return done


def _finished(so_far: Progress, config: TrainConfig) -> bool:
    epochs = len(so_far.history)
    if epochs == 0:
        return False
    waited = epochs - so_far.kept.number
    return (
        epochs >= config.epochs
        or (config.patience > 0 and waited >= config.patience)
        or (config.limit_s > 0 and so_far.train_s >= config.limit_s)
    )


def _optimizer(system: System, config: TrainConfig) -> torch.optim.Optimizer:
    learned = [parameter for parameter in system.parameters() if parameter.requires_grad]
    match config.optimizer:
        case "adam":
            return torch.optim.AdamW(
                learned,
                lr=config.learning_rate,
                betas=(config.first_moment, 0.999),
                weight_decay=config.weight_decay,
                fused=True,  # one pass over the weights: half of a small step's time otherwise
            )
        case "sgd":
            return torch.optim.SGD(
                learned,
                lr=config.learning_rate,
                momentum=config.first_moment,
                weight_decay=config.weight_decay,
            )


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainConfig, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=config.learning_rate, total_steps=steps + 1, cycle_momentum=False
        )
    return torch.optim.lr_scheduler.StepLR(optimizer, DECAY_STEPS, gamma=config.decay)


def _epoch(
    system: System,
    table: Table,
    train: NDArray[np.int64],
    config: TrainConfig,
    rng: np.random.Generator,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    number: int,
    spent_s: float,
) -> float:
    """One pass over the training pairs, cut short at the time limit; the mean loss of its batches."""
    system.train()
    total = torch.zeros((), device=table.labels["tag"].device)
    count, clock = 0, time.perf_counter()
    for batch in batches(table, train, config.batch_size, rng, one_clip_per_track=config.one_clip_per_track):
        optimizer.zero_grad(set_to_none=True)
        with _precision(config, total.device):
            loss = system.loss(batch, number).total
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        if config.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(system.parameters(), config.clip_norm)
        optimizer.step()
        schedule.step()
        total += loss.detach()
        count += 1
        if config.limit_s > 0 and spent_s + time.perf_counter() - clock >= config.limit_s:
            break
    return float(total) / count


def _precision(config: TrainConfig, device: torch.device) -> AbstractContextManager[Any]:
    wanted = config.precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


@torch.no_grad()
def _look(system: System, table: Table, number: int) -> dict[str, float]:
    """Figures on held-out pairs: the same L over all of them as one batch, and strict retrieval."""
    system.eval()
    rows = table.pairs.rows("evaluation")[: EVALUATION_ROWS if system.indexable else TOGETHER_ROWS]
    losses = system.loss(table.batch(rows, table.pairs.middle_segments(rows)), number)
    matrix = score_pairs(system, table, rows)
    if not np.isfinite(matrix).all():
        raise Diverged(number)
    own = np.eye(len(rows), dtype=np.bool_)
    there, back = rank(matrix, own), rank(matrix.T, own)
    return {
        "evaluation_loss": float(losses.total),
        "evaluation_matching": float(losses.matching),
        "evaluation_prediction": float(losses.prediction),
        "r10_video_to_music": float(hits(there, 10).mean()),
        "r10_music_to_video": float(hits(back, 10).mean()),
        "mrr": float(np.mean([*expected_reciprocal(there), *expected_reciprocal(back)])),
    }


@torch.no_grad()
def score_pairs(
    system: System, table: Table, rows: NDArray[np.int64], pool: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """(n, m) the score of every clip for every video, the mean over the clip's segments.

    Args:
        system: trained, in evaluation mode.
        table: all pairs as its views see them.
        rows: (n,) pairs whose videos ask.
        pool: (m,) pairs whose clips are ranked; the same pairs if None.
    """
    pool = rows if pool is None else pool
    segments = table.pairs.all_segments(pool)
    offsets = np.cumsum([0, *np.diff(table.pairs.offsets)[pool]], dtype=np.int64)
    asked = table.queries(rows, with_text=system.reads_query_text)
    device = table.labels["tag"].device
    clips = taken(table.music, torch.from_numpy(segments).to(device))
    if not system.indexable:
        each = system.scores(asked, clips).double().cpu().numpy()
        sums: NDArray[np.float64] = np.add.reduceat(each, offsets[:-1], axis=1) / np.diff(offsets)
        return sums
    videos, music = embed_all(system, "video", asked), embed_all(system, "music", clips)
    return score_clips(videos.float().cpu().numpy(), music.float().cpu().numpy(), offsets)


def _note(
    so_far: Progress,
    system: System,
    config: TrainConfig,
    look: dict[str, float],
    number: int,
    train_loss: float,
    train_s: float,
) -> None:
    """Append an epoch, and keep its weights if they are the best."""
    r10 = (look["r10_video_to_music"] + look["r10_music_to_video"]) / 2
    regret = {"loss": look["evaluation_loss"], "mrr": -look["mrr"], "r10": -r10, "last": -number}[config.keep]
    better = regret < so_far.least
    if not (better or so_far.best):  # NaN or infinite, so no epoch could be kept
        raise Diverged(number)
    if better:
        so_far.least = regret
        so_far.best = {name: value.clone() for name, value in system.state_dict().items()}
    so_far.history.append(
        Epoch(number, config.epochs, train_loss, **look, best=bool(better), train_s=train_s)
    )


def _store(
    so_far: Progress,
    system: System,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    rng: np.random.Generator,
) -> None:
    so_far.weights = system.state_dict()
    so_far.optimizer, so_far.schedule = optimizer.state_dict(), schedule.state_dict()
    so_far.order = dict(rng.bit_generator.state)
    so_far.chance = [torch.get_rng_state()]
    if torch.cuda.is_available():
        so_far.chance.append(torch.cuda.get_rng_state())


def _restore(
    so_far: Progress,
    system: System,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    rng: np.random.Generator,
) -> None:
    system.load_state_dict(so_far.weights)
    optimizer.load_state_dict(so_far.optimizer)
    schedule.load_state_dict(so_far.schedule)
    rng.bit_generator.state = so_far.order
    torch.set_rng_state(so_far.chance[0])
    if len(so_far.chance) > 1 and torch.cuda.is_available():
        torch.cuda.set_rng_state(so_far.chance[1])
