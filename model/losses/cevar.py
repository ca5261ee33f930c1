"""Cosines and class logits of right and wrong pairs in, CEVAR's losses out (Surís 2018, arXiv:1801.02200)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def cosine_with_margin(cosine: Tensor, matched: Tensor, *, margin: float) -> Tensor:
    """Mean of 1 - c over right pairs and max(0, c - margin) / (1 - margin) over wrong ones.

    Args:
        cosine: (n,) of the two embeddings of each pair.
        matched: (n,) bool.
        margin: below it a wrong pair costs nothing, < 1.

    Returns:
        ().
    """
    wrong = F.relu(cosine - margin) / (1 - margin)
    return torch.where(matched, 1 - cosine, wrong).mean()


@full_precision
def shared_classes(video: Tensor, music: Tensor, video_label: Tensor, music_label: Tensor) -> Tensor:
    """sqrt(BCE of the video + BCE of the audio), each summed over classes, meant over the batch.

    Args:
        video: (n, c) logits of the sigmoid classifier that both sides share.
        music: (n, c) likewise.
        video_label: (n,) int64.
        music_label: (n,) int64; a wrong pair's audio brings its own.

    Returns:
        ().
    """
    return (_cross_entropy(video, video_label) + _cross_entropy(music, music_label)).sqrt()


def _cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    truth = F.one_hot(label, logits.shape[1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / len(label)
