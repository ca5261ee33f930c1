"""Inputs and embeddings of the same clips in, how far embedding turned their order of likeness round out."""

import torch.nn.functional as F
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def structure(inputs: Tensor, embedded: Tensor, *, rows: int) -> Tensor:
    """The soft intra-modal structure loss of CBVMR (Hong et al. 2018), as VM-NET's code has it.

    With x the inputs at unit length, z the embeddings, D^x = -x x', D^z = -z z', over the first
    k = min(rows, n) clips and all neighbouring columns j, j + 1 among them:

        c_ij = sign(D^x_ij - D^x_i,j+1) - sign(D^z_ij - D^z_i,j+1)
        loss = mean_ij c_ij (D^z_i,j+1 - D^z_ij)

    so 0 where the order is kept, and twice the difference where it is turned round.

    Args:
        inputs: (n, d_x), never a source of gradient.
        embedded: (n, d) unit rows.
        rows: K of the code, the first so many of a shuffled batch.

    Returns:
        () >= 0; 0 for a single clip.
    """
    if min(rows, len(inputs)) < 2:
        return embedded.sum() * 0
    x, z = F.normalize(inputs[:rows].detach(), dim=1), embedded[:rows]
    step_x, step_z = (-(each @ each.T) for each in (x, z))
    step_x, step_z = step_x[:, :-1] - step_x[:, 1:], step_z[:, :-1] - step_z[:, 1:]
    turned = step_x.sign() - step_z.detach().sign()
    return -(turned * step_z).mean()
