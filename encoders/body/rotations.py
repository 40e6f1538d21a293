"""Rotations as six numbers: the first two columns of the matrix (Zhou et al., CVPR 2019, section 4.2).

The numbers lie row by row, [column 1 x, column 2 x, column 1 y, …], as in SPIN and the public MotionBERT mesh
checkpoints, so that their mean pose and last layer can be used as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def matrix_from_6d(sixd: Float[Tensor, "*B 6"]) -> Float[Tensor, "*B 3 3"]:
    """Rotation matrices by Gram–Schmidt on the two columns; any six numbers whose columns are not parallel will do."""
    first, second = sixd.unflatten(-1, (3, 2)).unbind(dim=-1)
    x = F.normalize(first, dim=-1, eps=1e-6)
    y = F.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1, eps=1e-6)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def sixd_from_matrix(matrix: Float[Tensor, "*B 3 3"]) -> Float[Tensor, "*B 6"]:
    """The six numbers of rotation matrices."""
    return matrix[..., :2].flatten(-2)


def angle_of(matrix: Float[Tensor, "*B 3 3"]) -> Float[Tensor, "*B"]:
    """Rotation angles in radians, 0 to π: the length of the axis-angle vector, with gradients that stay finite."""
    axis = torch.stack(
        [
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ],
        dim=-1,
    )
    sine = (axis.square().sum(-1) + 1e-12).sqrt()  # the root's slope at 0 is infinite
    return torch.atan2(sine, matrix.diagonal(dim1=-2, dim2=-1).sum(-1) - 1)
