"""Scores of flow: nothing for the truth, the right amount for what is wrong, whatever the flow's strength."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float

from motionqa.data.synthetic.puppets import FlowPair
from motionqa.eval.flow_estimators import CLASSICAL, affine_flow, background_motion, outside
from motionqa.eval.flow_scores import angle_errors, body_error, leak, moves, outline_distance
from motionqa.tests.known_flow import CAMERA, SIZE, known_pair

Flow = Float[np.ndarray, "2 H W"]


def flow_of(pair: FlowPair) -> Flow:
    assert pair.flow is not None
    return pair.flow


def constant(x: float, y: float) -> Flow:
    return np.broadcast_to(np.array([x, y], np.float32)[:, None, None], (2, *SIZE)).copy()


def on_body(pair: FlowPair, flow: Flow) -> Flow:
    return np.where(pair.masks.any(axis=0), flow, 0.0).astype(np.float32)


def test_the_error_on_the_body_is_the_mean_distance_and_the_background_does_not_count() -> None:
    pair = known_pair()
    assert body_error(flow_of(pair), pair) == 0
    assert body_error(flow_of(pair) + constant(3, -4), pair) == pytest.approx(5, abs=1e-5)
    wrong_outside = np.where(pair.masks.any(axis=0), flow_of(pair), 50.0)
    assert body_error(wrong_outside, pair) == 0
    with pytest.raises(ValueError, match="somebody in it"):
        body_error(flow_of(pair), replace(pair, masks=np.zeros_like(pair.masks)))


def test_motion_in_a_still_world_is_the_flow_less_the_camera_s() -> None:
    still, moving = known_pair((5.0, 1.0)), known_pair((5.0, 1.0), CAMERA)
    camera = affine_flow(CAMERA, SIZE)
    assert body_error(flow_of(moving) - camera, moving, camera) < 1e-5
    assert body_error(flow_of(moving), moving, camera) > 2
    assert np.abs((flow_of(moving) - camera - flow_of(still))[:, still.masks[0]]).max() < 0.3


def test_leak_is_the_flow_beside_the_people_alone() -> None:
    pair = known_pair()
    assert leak(on_body(pair, constant(30, 0)), pair) == 0
    assert leak(constant(3, 4), pair) == pytest.approx(5, abs=1e-5)
    assert outside(pair.masks, 2).sum() < outside(pair.masks, 0).sum() == (~pair.masks.any(axis=0)).sum()


@pytest.mark.parametrize(("flow", "degrees"), [((2, 0), 0), ((0, 9), 90), ((-1, 1), 135), ((-3, 0), 180), ((0, 0), 90)])
def test_angles_at_joints_are_those_between_flow_and_displacement(flow: tuple[float, float], degrees: float) -> None:
    found = angle_errors(constant(*flow), known_pair((5.0, 0.0)))
    assert len(found) >= 10
    assert found == pytest.approx(np.full(len(found), degrees), abs=1e-3)


def test_joints_at_rest_unsure_or_off_the_person_have_no_angle() -> None:
    pair = known_pair((5.0, 0.0))
    everything = len(angle_errors(constant(1, 0), pair))
    assert len(angle_errors(constant(1, 0), known_pair((0.5, 0.0)))) == 0
    unsure = pair.confidence.copy()
    unsure[:, ::2] = 0.1
    assert 0 < len(angle_errors(constant(1, 0), replace(pair, confidence=unsure))) < everything
    assert len(angle_errors(constant(1, 0), replace(pair, masks=np.zeros_like(pair.masks)))) == 0
    away = replace(pair, joints=pair.joints + 1000)
    assert len(angle_errors(constant(1, 0), away)) == 0
    assert moves(pair)
    assert not moves(known_pair((0.5, 0.0)))


def test_flow_that_ends_at_the_outline_is_nearest_to_it_however_strong_it_is() -> None:
    pair = known_pair()
    exact = on_body(pair, constant(5, 0))
    at_rim = outline_distance(exact, pair)
    assert at_rim is not None
    assert at_rim < 1.2
    assert outline_distance(10 * exact, pair) == pytest.approx(at_rim, abs=1e-3)
    farther = [outline_distance(np.roll(exact, shift, axis=2), pair) for shift in (4, 8)]
    assert farther[0] is not None
    assert farther[1] is not None
    assert at_rim + 0.5 < farther[0] < farther[1]


def test_flow_without_edges_is_half_a_picture_off_and_nobody_has_no_outline() -> None:
    pair = known_pair()
    assert outline_distance(constant(5, 0), pair) == min(SIZE) / 2
    assert outline_distance(constant(5, 0), replace(pair, masks=np.zeros_like(pair.masks))) is None


def test_the_camera_s_motion_is_found_from_the_background_alone() -> None:
    pair = known_pair((12.0, 0.0), CAMERA)
    assert np.abs(background_motion(flow_of(pair), pair.masks) - affine_flow(CAMERA, SIZE)).max() < 0.02
    full = np.ones_like(pair.masks)
    assert not background_motion(flow_of(pair), full).any()


@pytest.mark.parametrize("name", list(CLASSICAL))
def test_classical_flow_sees_the_person_move_and_the_camera_too(name: str) -> None:
    pair = known_pair((4.0, 0.0), CAMERA)
    flow = CLASSICAL[name](pair)
    assert flow.shape == (2, *SIZE)
    nothing = body_error(np.zeros_like(flow), pair)
    assert body_error(flow, pair) < 0.6 * nothing
    assert leak(flow, pair) > 1
    assert leak(flow - background_motion(flow, pair.masks), pair) < leak(flow, pair)
