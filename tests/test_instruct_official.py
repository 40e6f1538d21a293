"""Official layouts of captions and questions, read from small files of the exact layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.instruct.official_captions import babel, humanml3d, kit_ml, motion_x
from motionqa.data.instruct.official_questions import activitynet_qa, babel_qa, movid, video_chatgpt
from motionqa.data.schema import InputError


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_humanml3d_texts_give_captions_with_their_times(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    write(
        texts / "000001.txt", "a man kicks.#a/DET man/NOUN kick/VERB#0.0#0.0\nhe kicks high#he/PRON kick/VERB#0.0#0.0\n"
    )
    write(texts / "000002.txt", "a person sits#a/DET person/NOUN sit/VERB#1.5#3.0\n#x/X#nan#nan\n")
    read = humanml3d(texts, rng())
    assert [(e.clip, e.answer, e.accepted, e.span_s) for e in read.examples] == [
        ("000001", "a man kicks.", ("he kicks high",), None),
        ("000001", "he kicks high", ("a man kicks.",), None),
        ("000002", "a person sits", (), (1.5, 3.0)),
    ]
    assert [e.sentence for e in read.examples] == ["A man kicks.", "He kicks high.", "A person sits."]
    assert {e.truth for e in read.examples} == {"caption"}
    assert read.skipped == {"empty caption": 1}
    assert read.summary() == "3 examples of HumanML3D, 1 left out (empty caption)."
    some = humanml3d(texts, rng(), ["000002", "000009"])
    assert len(some.examples) == 1
    assert some.skipped["no text file for a name of the split"] == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [("a#b#0.0", "3 parts"), ("a#b#x#0.0", "numbers"), ("a#b#2.0#1.0", "before it starts")],
)
def test_a_broken_line_of_humanml3d_is_named(tmp_path: Path, line: str, said: str) -> None:
    write(tmp_path / "000001.txt", f"fine#f/ADJ#0.0#0.0\n{line}\n")
    with pytest.raises(InputError, match=rf"000001.txt, line 2.*{said}"):
        humanml3d(tmp_path, rng())


def test_motion_x_texts_are_named_by_their_path(tmp_path: Path) -> None:
    write(tmp_path / "humman" / "subset_0000" / "Squat_clip_1.txt", "someone squats\n")
    write(tmp_path / "idea400" / "Wave.txt", "\n")
    read = motion_x(tmp_path, rng())
    assert [(e.clip, e.answer) for e in read.examples] == [("humman/subset_0000/Squat_clip_1", "someone squats")]
    assert read.skipped == {"empty file": 1}
    with pytest.raises(InputError, match="no folder"):
        motion_x(tmp_path / "nowhere", rng())


def kit_entry(path: str, *texts: str) -> dict[str, object]:
    notes = [{"seg_id": f"1_{i}", "text": t, "start": 0.0, "end": 3.78} for i, t in enumerate(texts)]
    return {"path": path, "duration": 3.78, "annotations": notes}


def test_kit_ml_annotations_give_captions_without_mirrored_motions(tmp_path: Path) -> None:
    content = {
        "00001": kit_entry("KIT/4/Walk01_poses", "A person walks.", "A human goes forwards", ""),
        "M00001": kit_entry("M/KIT/4/Walk01_poses", "A person walks."),
        "00002": kit_entry("KIT/4/Walk02_poses"),
    }
    path = write(tmp_path / "annotations.json", content)
    read = kit_ml(path, rng())
    assert [(e.clip, e.answer, e.accepted) for e in read.examples] == [
        ("KIT/4/Walk01_poses", "A person walks.", ("A human goes forwards",)),
        ("KIT/4/Walk01_poses", "A human goes forwards", ("A person walks.",)),
    ]
    assert all(e.span_s is None for e in read.examples)
    assert read.skipped == {"empty text": 1, "mirrored motion": 1, "no annotation": 1}
    assert len(kit_ml(path, rng(), mirrored=True).examples) == 3
    content["00001"]["annotations"][0]["end"] = "late"  # type: ignore[index]
    with pytest.raises(InputError, match="motion 00001, annotation 0 has no number 'end'"):
        kit_ml(write(path, content), rng())


def test_babel_gives_segments_of_frame_labels_or_else_of_the_sequence(tmp_path: Path) -> None:
    def label(name: str, **times: float) -> dict[str, object]:
        return {"raw_label": name, "proc_label": name, "seg_id": "x", "act_cat": [name], **times}

    framed = [label("walk", start_t=1.5, end_t=3.0), label("transition", start_t=1.2, end_t=1.5),
              label("stand", start_t=0.0, end_t=1.2)]  # fmt: skip
    content = {
        "5": {"babel_sid": 5, "feat_p": "CMU/a_poses.npz", "dur": 3.0, "seq_ann": {"labels": [label("x")]},
              "frame_ann": {"labels": framed}},
        "6": {"babel_sid": 6, "feat_p": "CMU/b_poses.npz", "dur": 2.0, "seq_ann": {"labels": [label("jump")]},
              "frame_ann": None},
        "7": {"babel_sid": 7, "feat_p": "CMU/c_poses.npz", "dur": 2.0, "seq_ann": None, "frame_ann": None},
    }  # fmt: skip
    found, skipped = babel(write(tmp_path / "train.json", content))
    assert [(s.name, s.start_s, s.end_s) for s in found["CMU/a_poses.npz"]] == [("stand", 0.0, 1.2), ("walk", 1.5, 3.0)]
    assert [(s.name, s.start_s, s.end_s) for s in found["CMU/b_poses.npz"]] == [("jump", 0.0, 2.0)]
    assert skipped == {"no label": 1, "transition": 1}
    del framed[0]["start_t"]
    with pytest.raises(InputError, match=r"entry 5, label 0 has no number 'start_t'"):
        babel(write(tmp_path / "train.json", content))


def test_babel_qa_questions_carry_what_is_asked_and_the_relation(tmp_path: Path) -> None:
    between = ["[0]=scene(motion_seq)", "[1]=filter_action([0], sit)", "[2]=relate([1], before)",
               "[3]=filter_action([0], run)", "[4]=relate([3], after)", "[5]=intersect([2, 4])",
               "?=query_body_part([5])"]  # fmt: skip
    simple = ["[0]=scene(motion_seq)", "[1]=filter_direction([0], left)", "?=query_action([1])"]
    entries = [["1", "Which?", between, "77", "right leg"], ["2", "What?", simple, "78", "walk"]]
    read = babel_qa(write(tmp_path / "test.json", entries))
    assert [(e.clip, e.kind, e.relation, e.answer) for e in read.examples] == [
        ("77", "body_part", "between", "right leg"),
        ("78", "action", "", "walk"),
    ]
    with pytest.raises(InputError, match="entry 1 is not"):
        babel_qa(write(tmp_path / "test.json", [entries[0], ["2", "What?"]]))
    with pytest.raises(InputError, match="asks for none"):
        babel_qa(write(tmp_path / "test.json", [["1", "Which?", between[:-1], "77", "x"]]))


def test_activitynet_qa_joins_questions_with_answers_and_counts_the_rest(tmp_path: Path) -> None:
    asked = [{"video_name": "abc", "question": "what is she doing", "question_id": "v_abc_1"},
             {"video_name": "abc", "question": "where", "question_id": "v_abc_2"}]  # fmt: skip
    answers = [{"answer": "surf", "type": 0, "question_id": "v_abc_1"}]
    paths = write(tmp_path / "train_q.json", asked), write(tmp_path / "train_a.json", answers)
    read = activitynet_qa(*paths)
    assert [(e.clip, e.question, e.answer, e.kind, e.truth) for e in read.examples] == [
        ("abc", "What is she doing?", "surf", "motion", "benchmark")
    ]
    assert read.skipped == {"no answer": 1}
    assert [e.question for e in activitynet_qa(*paths, as_written=True).examples] == ["what is she doing"]
    write(paths[1], answers * 2)
    with pytest.raises(InputError, match="entry 1 answers v_abc_1 again"):
        activitynet_qa(*paths)
    write(paths[1], [{**answers[0], "type": 12}])
    with pytest.raises(InputError, match="type 12"):
        activitynet_qa(*paths)


def test_video_chatgpt_and_movid_instructions_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "vc.json", [{"q": "What?", "a": "A dance", "video_id": "v_1"}, {"q": "", "a": "x", "video_id": "v"}]
    )
    read = video_chatgpt(path)
    assert [(e.clip, e.sentence) for e in read.examples] == [("v_1", "A dance.")]
    assert read.skipped == {"empty text": 1}
    talk = [{"from": "human", "value": "<video>\nWhat is done?"}, {"from": "gpt", "value": "A squat."},
            {"from": "human", "value": "How often?"}, {"from": "gpt", "value": "Twice."}]  # fmt: skip
    entries = [{"id": "9", "motion": "humanml/0001", "conversations": talk}]
    found = movid(write(tmp_path / "movid.json", entries)).examples
    assert [(e.clip, e.question, e.answer) for e in found] == [
        ("humanml/0001", "What is done?", "A squat."),
        ("humanml/0001", "How often?", "Twice."),
    ]
    entries[0]["conversations"] = [talk[1], talk[0]]
    with pytest.raises(InputError, match="entry 0, turn 0: expected human"):
        movid(write(tmp_path / "movid.json", entries))


def test_a_missing_broken_or_empty_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        babel_qa(tmp_path / "none.json")
    with pytest.raises(InputError, match="is no json"):
        babel_qa(write(tmp_path / "a.json", "{"))
    with pytest.raises(InputError, match="holds dict, expected a list"):
        babel_qa(write(tmp_path / "a.json", {}))
    with pytest.raises(InputError, match="no example of BABEL-QA"):
        babel_qa(write(tmp_path / "a.json", []))
