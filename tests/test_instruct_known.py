"""Action names and their words, known movements and their mirror images, and captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionqa.data.instruct.action_words import (
    action_labels,
    action_words,
    canonical,
    label_joints,
    mentioned,
    names_of,
    part_of,
    spoken_of,
    unlike,
)
from motionqa.data.instruct.captions import captions_for, cmu_descriptions, sentence_of, told
from motionqa.data.instruct.known import KnownMotion, known_motion, mirrored_motion, mirrored_words
from motionqa.data.instruct.movement import direction, measured_part, moving_side, turning
from motionqa.data.instruct.stitch import leg_m
from motionqa.data.schema import InputError, Segment
from motionqa.data.synthetic import motions
from motionqa.tests import mocap_clips
from motionqa.tests.instruct_motions import mirror, motion, report

UTD_MHAD = (
    "swipe left,swipe right,wave,clap,throw,arm cross,basketball shoot,draw x,draw circle clockwise,"
    "draw circle counter clockwise,draw triangle,bowling,boxing,baseball swing,tennis swing,arm curl,tennis serve,push,"
    "knock,catch,pickup and throw,jog,walk,sit to stand,stand to sit,lunge,squat"
)
MSR_ACTION3D = (
    "high arm wave,horizontal arm wave,hammer,hand catch,forward punch,high throw,draw x,draw tick,draw circle,"
    "hand clap,two hand wave,side boxing,bend,forward kick,side kick,jogging,tennis swing,tennis serve,golf swing,"
    "pickup and throw"
)


def test_every_action_of_the_two_labelled_benchmarks_has_a_name_and_words() -> None:
    for source, labels in (("utd_mhad", UTD_MHAD), ("msr_action3d", MSR_ACTION3D)):
        assert set(action_labels()[source]) == set(labels.split(","))
        assert all(canonical(source, label) in action_words() for label in labels.split(","))


def test_one_movement_has_one_name_in_all_collections() -> None:
    assert canonical("utd_mhad", "wave") == canonical("bandai_namco", "wave-right-hand") == "wave right hand"
    assert canonical("utd_mhad", "tennis swing") == canonical("msr_action3d", "tennis swing")
    assert canonical("bandai_namco", "run") == canonical("cmu", "run/jog") == "run"
    assert canonical("utd_mhad", "jog") != "run"  # on the spot


def test_a_label_that_says_too_little_names_no_action() -> None:
    assert canonical("bandai_namco", "respond") is None
    assert canonical("somewhere", "walk") == "walk"
    assert canonical("somewhere", "fnord") is None
    clip = mocap_clips.clip("curl", source="bandai_namco")
    assert known_motion(clip).actions == ()
    assert known_motion(clip).captions == ()


def test_the_words_are_verb_forms_that_belong_together() -> None:
    for words in action_words().values():
        verb, third = words.do.split()[0], words.does.split()[0]
        assert third in (f"{verb}s", f"{verb}es", f"{verb[:-1]}ies") or (verb, third) == ("do", "does")
        assert words.doing.split()[0].endswith("ing")
        assert words.doing.split()[0][:2] == verb[:2]
        assert words.noun.startswith("the ")
        assert words.name not in words.accepted


def test_the_mirror_of_every_action_is_an_action_with_mirrored_words() -> None:
    for name, words in action_words().items():
        other = action_words()[mirrored_words(name)]
        assert mirrored_words(words.does) == other.does
        assert mirrored_words(words.part) == other.part
        assert words.sided == (other.name != name)


def test_being_clearly_different_is_mutual_and_never_holds_for_a_synonym() -> None:
    names = list(action_words())
    for a in names:
        assert not unlike(a, a)
        assert any(unlike(a, b) for b in names)
        assert all(unlike(a, b) == unlike(b, a) for b in names)
    assert not unlike("walk", "walk and turn left")
    assert not unlike("throw", "pick up and throw")
    assert unlike("clap", "squat")


def test_one_handed_actions_take_their_side_from_the_source() -> None:
    assert label_joints("utd_mhad", "throw") == ("right_wrist",)
    assert part_of("throw", ("right_wrist",)) == "right arm"
    assert part_of("throw", ()) == ""
    assert part_of("clap", ()) == "both arms"
    assert "wave" not in names_of("utd_mhad")
    assert "wave right hand" in names_of("utd_mhad")


def test_a_labelled_clip_becomes_a_movement_with_one_action_from_start_to_end() -> None:
    clip = mocap_clips.clip("walk")
    known = known_motion(clip)
    assert known.actions == (Segment("walk in place", 0.0, len(clip) / 30, ("left_ankle", "right_ankle")),)
    assert known.pose.xyz_m is clip.xyz_m
    assert known.pose.times_s[1] == pytest.approx(1 / 30)
    assert not known.described
    own = known_motion(clip, "walk - slow, stop")
    assert own.captions[0] == "Walk: slow, stop."
    assert own.described


def test_the_mirror_image_exchanges_sides_everywhere_and_twice_is_the_same() -> None:
    known = motion("wave right")
    other = mirrored_motion(known)
    assert [a.name for a in other.actions] == ["wave left hand"]
    assert other.actions[0].joints == ("left_wrist",)
    assert other.captions == ("A person does this: wave left hand.",)
    assert moving_side(known.pose, 0, known.duration_s) == "right"
    assert moving_side(other.pose, 0, known.duration_s) == "left"
    back = mirrored_motion(other)
    assert back.clip == known.clip
    assert back.captions == known.captions
    assert (back.pose.xyz_m == known.pose.xyz_m).all()
    assert back.actions == known.actions


def test_mirrored_words_turn_left_and_clockwise_and_nothing_else() -> None:
    assert mirrored_words("Left arm, draws a circle clockwise") == "Right arm, draws a circle counter clockwise"
    assert mirrored_words("draw circle counter clockwise") == "draw circle clockwise"
    assert mirrored_words("upright, is bright, leftover, right_wrist") == "upright, is bright, leftover, left_wrist"


def test_a_measured_side_that_contradicts_the_label_gives_no_part() -> None:
    throw = motion("throw")
    assert measured_part(throw.pose, throw.actions[0], "right arm") == "right arm"
    assert measured_part(throw.pose, throw.actions[0], "left arm") == ""
    assert measured_part(throw.pose, throw.actions[0], "both arms") == ""


def test_direction_and_turn_are_read_in_the_body_s_own_frame() -> None:
    walk = motion("walk")
    assert direction(report(walk), leg_m(walk.pose), 0, walk.duration_s) == "forwards"
    squats = motion("squats")
    assert direction(report(squats), leg_m(squats.pose), 0, squats.duration_s) == "on the spot"
    assert turning(report(squats), 0, squats.duration_s) == "no"
    from motionqa.data.instruct.known import known_body

    turn = known_body(motions.turn(90), "walk and turn left")
    assert turning(report(turn), 0, turn.duration_s) == "left"
    assert turning(report(mirrored_motion(turn)), 0, turn.duration_s) == "right"


def test_actions_that_overlap_or_counts_that_do_not_fit_are_refused() -> None:
    known = motion("squats")
    two = (Segment("squat", 0, 2), Segment("clap", 1, 3))
    with pytest.raises(ValueError, match="starts before"):
        KnownMotion("a", "b", "train", known.pose, two)
    with pytest.raises(ValueError, match="1 actions but 2 counts"):
        KnownMotion("a", "b", "train", known.pose, two[:1], counts=(1, 2))


def test_captions_differ_and_name_the_arm_only_where_it_is_known() -> None:
    with_side = captions_for("throw", ("left_wrist",))
    assert any("with the left arm" in c for c in with_side)
    assert not any("left" in c or "right" in c for c in captions_for("throw"))
    assert len(set(with_side)) == len(with_side) > 5
    assert set(told()) <= set(action_words())
    for name, sentences in told().items():
        for words in sentences:
            assert action_words()[name].sided or not {"left", "right", "clockwise"} & set(words.split())


def test_cmu_s_index_gives_sentences_and_a_broken_one_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_text(
        '"Subject","Trial #","Motion Description","framerate"\n5,3,"dance - small jetes, turn",120\n5,4,"",120\n'
    )
    assert cmu_descriptions(path) == {"005_03": "dance - small jetes, turn"}
    assert sentence_of("dance - small jetes, turn") == "Dance: small jetes, turn."
    path.write_text('"Subject","Trial #","Motion Description"\nx,3,"walk"\n')
    with pytest.raises(InputError, match="line 2"):
        cmu_descriptions(path)
    path.write_text('"Subject","Trial"\n1,3\n')
    with pytest.raises(InputError, match="Trial #, Motion Description"):
        cmu_descriptions(path)


def test_the_mirror_of_a_walk_goes_forwards_too() -> None:
    walk = mirror("walk")
    assert direction(report(walk), leg_m(walk.pose), 0, walk.duration_s) == "forwards"
    assert np.isfinite(walk.pose.xyz_m).all()


def test_a_text_speaks_of_the_actions_it_names_in_any_form() -> None:
    assert spoken_of("The person serves a tennis ball, then is waving with the left hand.") == {
        "tennis serve", "wave left hand"
    }  # fmt: skip
    assert spoken_of("Both feet stay on the floor.") == set()
    assert spoken_of("After clapping, is she pushing the hand forward or doing a spinning kick?") == {
        "clap", "kick", "spin kick"
    }  # fmt: skip
    assert spoken_of("Jump to the part where she claps and walk me through it.") == {"clap"}
    assert spoken_of("Does he jump to the left?") == {"jump"}


def test_actions_are_mentioned_in_an_order_and_by_their_longest_name() -> None:
    asked = "Does the wave of both hands come later than the walk with a turn to the left?"
    assert mentioned(asked) == ("wave both hands", "walk and turn left")
    assert mentioned("Was walking already over when he walked and turned left, walking?")[0] == "walk"
    assert mentioned("Both feet stay on the floor.") == ()
