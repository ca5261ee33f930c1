"""Embeddings of videos and of their music in, how badly they keep a margin and how hard to tell apart out.

Li et al., MRCMV: music retrieval for voice-over videos. The paper's formulas are lost; docs/models.md 4.2
has what its text says and what is our reading.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.losses.hinge import hinge
from model.losses.precision import full_precision

STEADY_EPOCHS = 80  # before the margin grows
STEP_EPOCHS = 10  # from one growth to the next


def margin_at(epoch: int, start: float, step: float) -> float:
    """The paper's schedule: `start` for 80 epochs, then `step` more every 10: 30, 40, 70 at 79, 90, 120."""
    return start + step * (max(0, epoch - STEADY_EPOCHS) // STEP_EPOCHS)


@full_precision
def margin_triplet(query: Tensor, music: Tensor, margin: float) -> Tensor:
    """L_triplet on Euclidean distances, every other row of the batch being a negative [choice], both ways.

        mean over i != j of  max(0, m + |q_i - m_i| - |q_i - m_j|) + max(0, m + |q_i - m_i| - |q_j - m_i|)

    Args:
        query: (n, d).
        music: (n, d), row i belongs with row i of `query`.
        margin: m, in the embeddings' own unit.

    Returns:
        (); 0 for a batch of one.
    """
    near = -torch.cdist(query, music)
    return hinge(near, margin=margin) + hinge(near.T, margin=margin)


@full_precision
def pseudo_label(
    query: Tensor, music: Tensor, query_matrix: Tensor, music_matrix: Tensor, identity: Tensor
) -> Tensor:
    """L_pseudo: cross-entropy of either embedding against its pair's identity, by one learnable matrix each.

    Args:
        query: (n, d).
        music: (n, d).
        query_matrix: (c, d), a row for every identity.
        music_matrix: (c, d).
        identity: (n,) int64, 0 <= identity < c.

    Returns:
        () in nats, the sum over both sides of the mean over the batch; 2 log(c) if nothing is known.
    """
    told_query = F.cross_entropy(query @ query_matrix.T, identity)
    return told_query + F.cross_entropy(music @ music_matrix.T, identity)
