"""How far joints in space are from the truth: the field's standard errors, in millimetres, per frame.

MPJPE after the pelvis is laid on the pelvis (protocol 1), N-MPJPE after the best scale as well (Rhodin et al., CVPR
2018), PA-MPJPE after the best rotation, scale and shift (protocol 2), and acceleration error in mm per frame squared
(Kanazawa et al., CVPR 2019).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Array = np.ndarray


def mpjpe_mm(found_m: Float[Array, "T J 3"], true_m: Float[Array, "T J 3"]) -> Float[Array, "T"]:
    """Mean joint distance of each frame, both poses about joint 0."""
    return _distance(_about_root(found_m), _about_root(true_m))


def n_mpjpe_mm(found_m: Float[Array, "T J 3"], true_m: Float[Array, "T J 3"]) -> Float[Array, "T"]:
    """As `mpjpe_mm`, after each frame's best scale."""
    found, true = _about_root(found_m), _about_root(true_m)
    scale = (found * true).sum((1, 2)) / np.maximum((found**2).sum((1, 2)), 1e-12)
    return _distance(found * scale[:, None, None], true)


def pa_mpjpe_mm(found_m: Float[Array, "T J 3"], true_m: Float[Array, "T J 3"]) -> Float[Array, "T"]:
    """Mean joint distance of each frame after Procrustes alignment (rotation, scale and shift)."""
    return _distance(procrustes(found_m, true_m), true_m)


def acceleration_error_mm(found_m: Float[Array, "T J 3"], true_m: Float[Array, "T J 3"]) -> Float[Array, "S"]:
    """Mean distance between second differences over time, both poses about joint 0; two frames fewer."""
    found, true = (np.diff(_about_root(x), n=2, axis=0) for x in (found_m, true_m))
    return _distance(found, true)


def procrustes(found_m: Float[Array, "T J 3"], true_m: Float[Array, "T J 3"]) -> Float[Array, "T J 3"]:
    """`found_m` with each frame turned, scaled and moved to lie best on `true_m` (least squares; no reflection)."""
    found_mean, true_mean = found_m.mean(axis=1, keepdims=True), true_m.mean(axis=1, keepdims=True)
    found, true = found_m - found_mean, true_m - true_mean
    u, s, vt = np.linalg.svd(np.einsum("tji,tjk->tik", found, true))
    sign = np.sign(np.linalg.det(u @ vt))
    flip = np.ones((len(found), 3))
    flip[:, 2] = sign
    turn = (u * flip[:, None]) @ vt
    scale = (s * flip).sum(axis=1) / np.maximum((found**2).sum((1, 2)), 1e-12)
    return scale[:, None, None] * (found @ turn) + true_mean


def _about_root(xyz: Float[Array, "T J 3"]) -> Float[Array, "T J 3"]:
    return xyz - xyz[:, :1]


def _distance(a: Float[Array, "T J 3"], b: Float[Array, "T J 3"]) -> Float[Array, "T"]:
    return np.linalg.norm(a - b, axis=-1).mean(axis=1) * 1000
