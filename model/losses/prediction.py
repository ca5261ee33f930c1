"""Class logits of several modalities in, the summed cross-entropy with the true category out."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def prediction(logits: Sequence[Tensor], category: Tensor) -> Tensor:
    """YuYin's Eq. (3) and (4): L_pred = CE(p_v, y) + CE(p_m, y) + CE(p_t, y), each averaged over the batch.

    Args:
        logits: for each modality (n, c), before the softmax, from the one shared classifier.
        category: (n,) int64, the true class, 0 <= y < c.

    Returns:
        () in nats; len(logits) * log(c) if the classifier knows nothing.
    """
    return sum(
        (F.cross_entropy(each, category) for each in logits),
        start=category.new_zeros((), dtype=logits[0].dtype),
    )
