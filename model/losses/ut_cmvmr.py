"""What UT-CMVMR's joint network makes of right and wrong pairs in, its losses out (docs/models.md 4.3).

theta is the common space, rho what is decoded from it in the space of the tags' vectors, phi what either
modality is before the two meet. t(a, p, n) = max(0, margin + |a - p| - |a - n|) is the triplet margin loss,
d the mean squared error, all averaged over the batch. All weights are 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def pair_triplets(
    theta_v: Tensor, theta_m: Tensor, wrong_theta_v: Tensor, wrong_theta_m: Tensor, margin: float
) -> Tensor:
    """L_av = t(theta_v+, theta_m+, theta_m-) + t(theta_m+, theta_v+, theta_v-), all (n, k)."""
    there = F.triplet_margin_loss(theta_v, theta_m, wrong_theta_m, margin)
    return there + F.triplet_margin_loss(theta_m, theta_v, wrong_theta_v, margin)


@full_precision
def tag_triplets(
    theta: Tensor,
    theta_tag: Tensor,
    wrong_theta: Tensor,
    rho: Tensor,
    rho_tag: Tensor,
    wrong_rho: Tensor,
    margin: float,
) -> Tensor:
    """L_vtag or L_atag: a pair's tag is nearer to the pair's modality than that of another tag's pair is.

        t(theta+, theta_tag+, theta-) + t(theta_tag+, theta+, theta-) + t(rho_tag+, rho+, rho-)

    The poster prints theta_tag- at the end of L_vtag's second term; its code and L_atag have theta-, as here.
    All (n, k).
    """
    return (
        F.triplet_margin_loss(theta, theta_tag, wrong_theta, margin)
        + F.triplet_margin_loss(theta_tag, theta, wrong_theta, margin)
        + F.triplet_margin_loss(rho_tag, rho, wrong_rho, margin)
    )


@full_precision
def match_entropy(right: Tensor, wrong: Tensor) -> Tensor:
    """L_ce: cross-entropy of the binary matching classifier, one right and two wrong pairs an item.

    Args:
        right: (n, 2) logits of matched pairs, class 1.
        wrong: (2 n, 2) logits of mismatched pairs, class 0.
    """
    label = torch.cat([right.new_ones(len(right)), wrong.new_zeros(len(wrong))]).long()
    return F.cross_entropy(torch.cat([right, wrong]), label)


@full_precision
def rebuilt(phi_v: Tensor, again_v: Tensor, phi_m: Tensor, again_m: Tensor) -> Tensor:
    """L_regular's part without a tag: d(phi, phi decoded from theta) of both modalities, all (n, k)."""
    return F.mse_loss(again_v, phi_v) + F.mse_loss(again_m, phi_m)


@full_precision
def tag_regular(
    rho_v: Tensor,
    rho_m: Tensor,
    rho_tag: Tensor,
    tag: Tensor,
    theta_v: Tensor,
    theta_m: Tensor,
    theta_tag: Tensor,
) -> Tensor:
    """L_regular's part with the tag's vector: every rho resembles it, either theta resembles the tag's theta.

    d(rho_v, tag) + d(rho_m, tag) + d(rho_tag, tag) + d(theta_v, theta_tag) + d(theta_m, theta_tag)
    """
    decoded = F.mse_loss(rho_v, tag) + F.mse_loss(rho_m, tag) + F.mse_loss(rho_tag, tag)
    return decoded + F.mse_loss(theta_v, theta_tag) + F.mse_loss(theta_m, theta_tag)
