"""The synthetic body is exact: bones keep their lengths, feet stay put, and what is asked for is what comes."""

from __future__ import annotations

import numpy as np
import pytest

from motionqa.data.skeleton import SMPL_22
from motionqa.data.synthetic import motions as S
from motionqa.data.synthetic.body import BodyMotion, joint_positions

MOTIONS = {
    "stand": S.stand(),
    "squats": S.squats(2),
    "arm raise": S.arm_raise("both"),
    "wave": S.wave("left"),
    "walk": S.walk(),
    "walk in a curve": S.walk(10, turn_deg=90),
    "walk backwards": S.walk(direction="backwards"),
    "side steps": S.walk(direction="left", step_m=0.3),
    "run": S.run(),
    "turn": S.turn(-90),
    "jumps": S.jumps(2),
    "lunge": S.lunge("left"),
    "kick": S.kick(),
    "bend": S.forward_bend(),
    "curls": S.biceps_curls("both"),
    "jumping jacks": S.jumping_jacks(3),
    "sit down": S.sit_down(),
    "stand up": S.stand_up(),
    "one leg": S.single_leg_stance("left"),
    "joined": S.concatenate(S.walk(4), S.turn(90), S.squats(1)),
}


def bone(xyz: np.ndarray, a: str, b: str) -> np.ndarray:
    return np.linalg.norm(xyz[:, SMPL_22.index(a)] - xyz[:, SMPL_22.index(b)], axis=1)


@pytest.mark.parametrize("name", MOTIONS)
def test_bones_keep_their_lengths(name: str) -> None:
    xyz = joint_positions(MOTIONS[name])
    assert np.isfinite(xyz).all()
    for side in ("left", "right"):
        for a, b, length in (("hip", "knee", 0.42), ("knee", "ankle", 0.41), ("elbow", "wrist", 0.25)):
            np.testing.assert_allclose(bone(xyz, f"{side}_{a}", f"{side}_{b}"), length, atol=1e-9)


@pytest.mark.parametrize("name", MOTIONS)
def test_nothing_moves_faster_than_a_person_can(name: str) -> None:
    motion = MOTIONS[name]
    speed = np.linalg.norm(np.diff(joint_positions(motion), axis=0), axis=2).max() * motion.fps
    assert speed < 10.0


@pytest.mark.parametrize("name", ["squats", "walk", "walk in a curve", "turn", "bend", "joined"])
def test_standing_feet_do_not_slide(name: str) -> None:
    motion = MOTIONS[name]
    xyz = joint_positions(motion)
    for i, side in enumerate(("left", "right")):
        ankle = xyz[:, SMPL_22.index(f"{side}_ankle")]
        planted = motion.ankle_m[:, i, 1] < 0.08 + 1e-6
        both = planted[1:] & planted[:-1]
        moved = np.linalg.norm(np.diff(ankle, axis=0), axis=1)[both]
        assert moved.max() < 0.005


def test_walking_travels_steps_times_step_length_and_turning_turns_exactly() -> None:
    np.testing.assert_allclose(S.walk(8, step_m=0.6).root_m[-1, [0, 2]], [0, 4.8], atol=1e-3)
    np.testing.assert_allclose(S.walk(8, step_m=0.6, direction="backwards").root_m[-1, 2], -4.8, atol=1e-3)
    assert S.walk(6, direction="left", step_m=0.3).root_m[-1, 0] == pytest.approx(1.8, abs=1e-3)
    assert S.turn(90).heading_deg[-1] == pytest.approx(90, abs=0.1)


def test_motions_join_where_the_one_before_ended() -> None:
    joined = S.concatenate(S.walk(4, step_m=0.6), S.turn(90), S.walk(4, step_m=0.6))
    np.testing.assert_allclose(joined.root_m[-1, [0, 2]], [2.4, 2.4], atol=0.02)
    assert [s.name for s in joined.labels] == ["walking forwards", "turning left", "walking forwards"]
    starts = [s.start_s for s in joined.labels]
    assert starts == sorted(starts)


def test_joining_different_frame_rates_is_refused() -> None:
    with pytest.raises(ValueError, match="one frame rate"):
        S.concatenate(S.stand(fps=30), S.stand(fps=60))


@pytest.mark.parametrize("name", ["wave", "walk in a curve", "lunge"])
def test_mirroring_reflects_every_joint(name: str) -> None:
    motion: BodyMotion = MOTIONS[name]
    expected = joint_positions(motion)[:, list(SMPL_22.mirror)] * [-1, 1, 1]
    np.testing.assert_allclose(joint_positions(S.mirrored(motion)), expected, atol=1e-9)


def test_noise_is_repeatable_and_of_the_size_asked_for() -> None:
    clean, noisy = S.render(S.stand(5)), S.render(S.stand(5), noise_m=0.01, seed=3)
    assert np.std(noisy.xyz_m - clean.xyz_m) == pytest.approx(0.01, rel=0.05)
    np.testing.assert_array_equal(noisy.xyz_m, S.render(S.stand(5), noise_m=0.01, seed=3).xyz_m)
