"""What DPVM's content, emotion and fusion networks make of videos and music in, their losses out.

Gu et al., DPVM: dual-path video-music retrieval. Distances are d(x, y) = 1 - cos(x, y) of rows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def mean_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean over rows of d(x_i, y_i): L_R of one modality, L_fusion of matched pairs, minus Eq. (5)."""
    return (1 - F.cosine_similarity(x, y, dim=1)).mean()


@full_precision
def contrastive(video: Tensor, music: Tensor, other: Tensor, margin: float) -> Tensor:
    """The content path's metric loss, Eq. (2), with Y = 0 for matched and 1 for mismatched pairs.

        L_M = (1 - Y) / 2 d(v, m)^2 + Y / 2 max(0, margin - d(v, m))^2

    Args:
        video: (n, k).
        music: (n, k).
        other: (n,) int64, row i is mismatched with row other[i] of `music`; i itself stands for none.
        margin: .5 in our presets [choice].

    Returns:
        () the mean over the n matched and at most n mismatched pairs.
    """
    matched = (1 - F.cosine_similarity(video, music, dim=1)).square()
    wrong = other != torch.arange(len(other), device=other.device)
    distance = 1 - F.cosine_similarity(video, music[other], dim=1)
    mismatched = F.relu(margin - distance).square() * wrong
    return (matched.sum() + mismatched.sum()) / (2 * (len(other) + wrong.sum()))


@full_precision
def polarity_penalty(video: Tensor, music: Tensor, polarity: Tensor) -> Tensor:
    """The polarity-penalty metric loss (PPML, section III.D, Eq. (12)), divided by n (n - 1) [choice].

        L = sum_k sum_{i != k}  P_ki rho_ki phi(v_k, m_i) - phi(v_k, m_k),  phi the cosine

    P_ki = |label_k - label_i| and rho_ki = 0 if phi(v_k, m_i) < phi(v_k, m_k) else 1: music of the same
    polarity is never pushed away, and music that is farther than the right one no more.

    Args:
        video: (n, k).
        music: (n, k).
        polarity: (n,) int64, 0 negative, 1 neutral, 2 positive.

    Returns:
        (); 0 for a single pair.
    """
    n = len(polarity)
    cosine = F.normalize(video, dim=1) @ F.normalize(music, dim=1).T
    own = cosine.diagonal().unsqueeze(1)
    apart = (polarity.unsqueeze(1) - polarity.unsqueeze(0)).abs()  # 0 on the diagonal
    pushed = (apart * (cosine >= own) * cosine).sum()
    return (pushed - (n - 1) * own.sum()) / max(1, n * (n - 1))
