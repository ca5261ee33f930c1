"""A matrix of scores of pairs in, how far wrong partners come too close beside the right ones out."""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def products(x: Tensor, y: Tensor) -> Tensor:
    """(n, m) inner products of rows: scores differ by little, so they are never rounded to half precision."""
    return x @ y.T


@full_precision
def hinge(scores: Tensor, *, margin: float, hardest: int | None = None) -> Tensor:
    """The ranking loss of VM-NET (Hong et al. 2018, arXiv:1804.08436), anchored on rows.

        mean_i mean_{j in H(i)} max(0, margin + s_ij - s_ii)

    where H(i) are the `hardest` wrong partners of anchor i: those with the highest scores. With
    all of them it is the triplet loss over every triplet of the batch.

    Args:
        scores: (n, n), row i belongs with column i; give the transpose to anchor on columns.
        margin: in the units of the scores.
        hardest: at most n - 1 count; None takes all.

    Returns:
        (); 0 for a batch of one.
    """
    n = len(scores)
    count = n - 1 if hardest is None else min(hardest, n - 1)
    if count < 1:
        return scores.sum() * 0
    own = scores.diagonal().unsqueeze(1)
    excess = F.relu(margin + scores - own)
    excess = excess.masked_fill(torch.eye(n, dtype=torch.bool, device=scores.device), 0.0)
    if hardest is not None:  # max(0, x) keeps order, so the hardest are those with the largest excess
        excess = excess.topk(count, dim=1).values
    return excess.sum() / (n * count)
