"""What H-MoRe learns from: each term is zero where it should be, punishes what it should, has the right gradient."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from motionqa.encoders.flow.losses import (
    FlowLossConfig,
    People,
    angle_term,
    boundary_loss,
    chamfer,
    flow_edges,
    intensity_term,
    nearest_joint,
    outline,
    patch_centroids,
    skeleton_loss,
)

CONFIG = FlowLossConfig()


def turned(flow: torch.Tensor, degrees: float) -> torch.Tensor:
    a = math.radians(degrees)
    x, y = flow[:, :, 0], flow[:, :, 1]
    return torch.stack([math.cos(a) * x - math.sin(a) * y, math.sin(a) * x + math.cos(a) * y], dim=2)


def field(x: float, y: float, size: int = 4) -> torch.Tensor:
    return torch.tensor([x, y]).reshape(1, 1, 2, 1, 1).expand(1, 1, 2, size, size).clone()


def two_limbs() -> tuple[People, tuple[tuple[int, int], ...]]:
    """An upright limb at x = 8 whose lower end moves right, and one at x = 24 that moves up; 32 x 32."""
    joints = torch.tensor([[8.0, 4.0], [8.0, 28.0], [24.0, 4.0], [24.0, 28.0]]).reshape(1, 1, 4, 2)
    moved = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, -3.0], [0.0, -3.0]]).reshape(1, 1, 4, 2)
    return People(joints, moved, torch.ones(1, 1, 4), torch.ones(1, 1, 32, 32)), ((0, 1), (2, 3))


def test_a_pixel_takes_the_displacement_of_the_nearer_end_of_the_nearest_bone() -> None:
    people, bones = two_limbs()
    moved, inside = nearest_joint(people, bones)
    assert inside.all()
    assert moved[0, 0, :, 26, 10].tolist() == [5.0, 0.0]
    assert moved[0, 0, :, 6, 10].tolist() == [0.0, 0.0]
    assert moved[0, 0, :, 15, 30].tolist() == [0.0, -3.0]


def test_joints_that_are_not_seen_match_no_pixel_and_unsure_ones_lose() -> None:
    people, bones = two_limbs()
    unseen = replace(people, confidence=torch.tensor([1.0, 0.0, 1.0, 1.0]).reshape(1, 1, 4))
    moved, _ = nearest_joint(unseen, bones)
    assert moved[0, 0, :, 27, 8].tolist() == [0.0, -3.0]  # the other limb's, far as it is
    unsure = replace(people, confidence=torch.tensor([1.0, 0.4, 1.0, 1.0]).reshape(1, 1, 4))
    moved, _ = nearest_joint(unsure, bones)
    assert moved[0, 0, :, 26, 14].tolist() == [0.0, -3.0]  # 6 px / 0.4 is farther than 10 px
    nobody = replace(people, confidence=torch.zeros(1, 1, 4))
    assert not nearest_joint(nobody, bones)[1].any()


def test_pixels_outside_the_mask_do_not_count() -> None:
    people, bones = two_limbs()
    masks = torch.zeros(1, 1, 32, 32)
    masks[..., :16] = 1
    _, inside = nearest_joint(replace(people, masks=masks), bones)
    assert torch.equal(inside, masks > 0.5)


@pytest.mark.parametrize(("degrees", "beyond"), [(0, 0), (14, 0), (-14, 0), (20, 5), (-100, 85), (180, 165)])
def test_directions_are_free_within_fifteen_degrees(degrees: float, beyond: float) -> None:
    joint = field(3.0, 4.0)
    found = angle_term(turned(joint, degrees), joint, CONFIG)
    assert torch.allclose(found, torch.full_like(found, math.radians(beyond)), atol=1e-4)


@pytest.mark.parametrize(("factor", "off"), [(1.0, 0.0), (0.81, 0.0), (1.19, 0.0), (0.5, 1.5), (2.0, 4.0), (0.0, 4.0)])
def test_lengths_are_free_between_eight_and_twelve_tenths(factor: float, off: float) -> None:
    joint = field(3.0, 4.0)
    found = intensity_term(joint * factor, joint, CONFIG)
    assert torch.allclose(found, torch.full_like(found, off), atol=1e-3)


def test_true_flow_costs_nothing_and_wrong_flow_is_weighted_as_published() -> None:
    joint, inside = field(3.0, 4.0), torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert skeleton_loss(joint, joint, inside)["skeleton"] == 0
    wrong = skeleton_loss(-2 * joint, joint, inside)
    assert torch.isclose(wrong["skeleton"], torch.tensor(math.radians(165) + 0.01 * 4.0), atol=1e-3)


def test_standing_still_is_no_way_to_be_right() -> None:
    joint = field(3.0, 4.0)
    still, little = torch.zeros_like(joint).requires_grad_(), 0.1 * joint
    assert torch.allclose(angle_term(still, joint, CONFIG), torch.tensor(math.radians(75)), atol=1e-3)
    assert (angle_term(little, joint, CONFIG) > math.radians(50)).all()
    little.requires_grad_()
    angle_term(little, joint, CONFIG).sum().backward()
    assert little.grad is not None
    assert ((little.grad * joint).sum(dim=2) < 0).all()  # more flow along the joint costs less


def test_joints_at_rest_have_no_direction_but_hold_the_flow_still() -> None:
    rest, inside = field(0.1, 0.0), torch.ones(1, 1, 4, 4, dtype=torch.bool)
    found = skeleton_loss(field(0.0, 2.0), rest, inside)
    assert found["angle"] == 0
    assert found["intensity"] > 1
    empty = skeleton_loss(field(0.0, 2.0), rest, torch.zeros_like(inside))
    assert empty["skeleton"] == 0


def test_every_term_has_the_gradient_of_its_value() -> None:
    torch.manual_seed(0)
    joint = torch.randn(1, 1, 2, 3, 3, dtype=torch.float64) * 3
    flow = (torch.randn(1, 1, 2, 3, 3, dtype=torch.float64) * 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: angle_term(f, joint, CONFIG), flow)
    assert torch.autograd.gradcheck(lambda f: intensity_term(f, joint, CONFIG), flow)
    mask = torch.zeros(1, 16, 16, dtype=torch.float64)
    mask[:, 4:12, 5:11] = 1
    moving = (torch.randn(1, 2, 16, 16, dtype=torch.float64)).requires_grad_()
    config = FlowLossConfig(patches=(4,))
    assert torch.autograd.gradcheck(lambda f: boundary_loss(f, mask, config), moving)


def test_gradients_are_finite_for_flow_that_is_zero_everywhere() -> None:
    flow = torch.zeros(1, 2, 32, 32, requires_grad=True)
    joint, inside = field(3.0, 4.0, 32), torch.ones(1, 1, 32, 32, dtype=torch.bool)
    mask = torch.zeros(1, 32, 32)
    mask[:, 8:24, 8:24] = 1
    (skeleton_loss(flow[:, None], joint, inside)["skeleton"] + boundary_loss(flow, mask)).backward()
    assert flow.grad is not None
    assert torch.isfinite(flow.grad).all()


def box(x0: int, y0: int, x1: int, y1: int, size: int = 96) -> torch.Tensor:
    out = torch.zeros(1, size, size)
    out[:, y0:y1, x0:x1] = 1
    return out


def test_the_outline_is_the_person_s_rim() -> None:
    rim = outline(box(4, 4, 8, 9, 16))[0]
    assert rim.sum() == 4 * 5 - 2 * 3
    assert rim[4, 4] == 1
    assert rim[6, 6] == 0
    assert outline(torch.ones(1, 8, 8)).sum() == 0  # the picture's border is no outline


def test_flow_that_ends_at_the_outline_costs_least() -> None:
    person = box(30, 20, 60, 80)
    costs = [
        float(boundary_loss(torch.stack([4 * box(30 + d, 20, 60 + d, 80)[0]] * 2)[None], person))
        for d in range(0, 13, 3)
    ]
    assert costs == sorted(costs)
    assert costs[0] < 0.5 * costs[2]


def test_the_boundary_pulls_a_misplaced_edge_towards_the_outline() -> None:
    person = box(30, 20, 60, 80)
    edge = torch.tensor(36.0, requires_grad=True)
    x = torch.arange(96.0)
    profile = torch.sigmoid(x - edge) * torch.sigmoid(66.0 - x)
    flow = torch.stack([4 * profile * box(0, 20, 96, 80)[0]] * 2)[None]
    boundary_loss(flow, person).backward()
    assert edge.grad is not None
    assert edge.grad > 0  # a smaller edge is better: the outline is at 30


def test_nothing_moves_or_nobody_is_there_costs_nothing() -> None:
    assert boundary_loss(torch.zeros(1, 2, 64, 64), box(10, 10, 30, 40, 64)) == 0
    assert boundary_loss(torch.randn(1, 2, 64, 64), torch.zeros(1, 64, 64)) == 0


def test_edges_of_flow_are_where_it_changes() -> None:
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0, :, 8:] = 4.0
    edges = flow_edges(flow)[0]
    assert edges[8, 7] == pytest.approx(2.0, abs=1e-3)
    assert edges[8, 2] < 1e-3


def test_centroids_are_centres_of_mass_and_masses_add_up() -> None:
    curve = torch.zeros(1, 10, 10)
    curve[0, 1, 2], curve[0, 3, 2], curve[0, 9, 9] = 1, 3, 2
    at, mass = patch_centroids(curve, 8)
    assert mass.tolist() == [[4.0, 0.0, 0.0, 2.0]]
    assert torch.allclose(at[0, 0], torch.tensor([2.0, 2.5]))
    assert torch.allclose(at[0, 3], torch.tensor([9.0, 9.0]))


def test_the_exact_distance_of_two_lines_is_their_gap() -> None:
    one, other = torch.zeros(32, 32), torch.zeros(32, 32)
    one[:, 5], other[:, 12] = 1, 1
    assert chamfer(one, other) == 7
    with pytest.raises(ValueError, match="no pixels"):
        chamfer(one, torch.zeros(32, 32))


def test_distances_between_centroids_stay_within_a_patch_of_the_exact_one() -> None:
    """The paper's approximation: moving a rim by d pixels changes it by d within the patch's side."""
    person = box(24, 24, 72, 72)
    rim = outline(person)[0]
    for shift in (0, 6, 12):
        moved = torch.roll(rim, shift, dims=1)
        exact = float(chamfer(rim, moved))
        for side in (4, 8):
            one, mass_one = patch_centroids(rim[None], side)
            two, mass_two = patch_centroids(moved[None], side)
            distance = torch.cdist(one, two)[0]
            there = distance.masked_fill(mass_two <= 0, math.inf).amin(dim=1)[mass_one[0] > 0].mean()
            back = distance.masked_fill(mass_one[0][:, None] <= 0, math.inf).amin(dim=0)[mass_two[0] > 0].mean()
            assert abs(float(there + back) / 2 - exact) <= side / 2
