"""Two batches of unit embeddings in, how badly each row finds its partners in the other out."""

import torch
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def nce(
    x: Tensor,
    y: Tensor,
    positives: Tensor,
    *,
    temperature: float,
    ignored: Tensor | None = None,
    symmetric: bool = False,
) -> Tensor:
    """YuYin's Eq. (1), the MIL-NCE form of Alayrac et al. 2020 (arXiv:2006.16228), averaged over anchors.

    With s_ij = <x_i, y_j> / temperature and P(i) the positives of anchor i,

        NCE(x, y) = mean_i -log( sum_{j in P(i)} exp s_ij / sum_j exp s_ij )

    where the second sum leaves out the ignored j. It is the cross-entropy of a softmax over the batch
    when every P(i) is {i}, and its floor is 0: equal texts as positives of each other can reach it.

    Args:
        x: (n, d) unit rows, the anchors.
        y: (n, d) unit rows, what the softmax runs over.
        positives: (n, n) bool, at least one per row (and per column if `symmetric`).
        temperature: > 0, without unit; smaller is sharper.
        ignored: (n, n) bool, pairs that are neither right nor wrong, such as another clip of the
            same track; a positive is never ignored.
        symmetric: the mean of NCE(x, y) and NCE(y, x) instead of the first alone.

    Returns:
        () in nats.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    logits = x @ y.T / temperature  # (n, n)
    if ignored is not None:
        logits = logits.masked_fill(ignored & ~positives, -torch.inf)
    forward = _anchored(logits, positives)
    return (forward + _anchored(logits.T, positives.T)) / 2 if symmetric else forward


def _anchored(logits: Tensor, positives: Tensor) -> Tensor:
    right = logits.masked_fill(~positives, -torch.inf)
    return (torch.logsumexp(logits, dim=1) - torch.logsumexp(right, dim=1)).mean()
