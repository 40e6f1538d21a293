"""Questions that are answered from concepts alone: what a reader learns, what counts, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.data.concept_pairs import save_part
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.eval.build_concept_questions import QuestionsConfig, mocap_clip, part_motions, part_questions
from motionqa.eval.concept_question_rows import ABLATIONS, question_rows
from motionqa.eval.concept_questions import (
    SENTENCES,
    QuestionSet,
    asks_how,
    concept_tracks,
    feature_tracks,
    is_closed,
    load_questions,
    majority,
    no_tracks,
    points,
    questions_path,
    reading,
    vocabulary,
)
from motionqa.eval.concept_runs import Kept, Run
from motionqa.eval.qa.question import Question
from motionqa.eval.question_reader import Answering, ReaderConfig, Tokens, TokenTrack, answers_of, train_reader
from motionqa.finetune.pretrain_concepts import SMALL
from motionqa.tests.concept_clips import kept_clip
from motionqa.tests.mocap_clips import ACTIONS, clip

Array = np.ndarray

QUICK = ReaderConfig(width=32, heads=2, queries=2, steps=150, clips=16, rate=3e-3, dropout=0.0, hidden=0.0)
ONE, OTHER = np.eye(6, dtype=np.float32)[:2]


def track(pattern: Array, rng: np.random.Generator, length: int = 0) -> TokenTrack:
    """A few tokens of noise, the pattern among them."""
    n = length or int(rng.integers(3, 9))
    vectors = 0.3 * rng.normal(size=(n, 6)).astype(np.float32)
    vectors[rng.integers(n)] += 2 * pattern
    return TokenTrack(vectors, (np.arange(n) + 0.5) * 0.27)


def two_patterns(count: int = 80, seed: int = 0) -> tuple[Answering, dict[str, TokenTrack]]:
    """Clips of two patterns, each asked two questions whose answers are opposite: neither alone says the answer."""
    rng = np.random.default_rng(seed)
    sentences = np.eye(2, 8, dtype=np.float32)
    kinds = rng.integers(2, size=count)
    tracks = {f"{seed}-{i}": track((ONE, OTHER)[k], rng) for i, k in enumerate(kinds)}
    clips = [name for name in tracks for _ in range(2)]
    return Answering(np.tile(sentences, (count, 1)), clips, np.array([x for k in kinds for x in (k, 1 - k)])), tracks


def right_share(tracks: dict[str, TokenTrack], known: Answering, asked: Answering) -> float:
    tokens = Tokens(tracks, known.clips)
    reader = train_reader(known, tokens, 2, QUICK)
    return float((answers_of(reader, asked, tokens) == asked.answers).mean())


def test_a_reader_needs_question_and_tokens_and_fails_without_the_tokens() -> None:
    (known, tracks), (asked, others) = two_patterns(), two_patterns(40, seed=1)
    assert right_share(tracks | others, known, asked) > 0.95
    nothing = {name: TokenTrack(t.vectors[:0], t.middle_s[:0]) for name, t in (tracks | others).items()}
    assert right_share(nothing, known, asked) < 0.7


def test_a_reader_can_tell_what_came_first() -> None:
    def clips(seed: int) -> tuple[Answering, dict[str, TokenTrack]]:
        rng = np.random.default_rng(seed)
        first = rng.integers(2, size=100)
        tracks = {}
        for i, k in enumerate(first):
            halves = [track((ONE, OTHER)[k], rng, 4), track((OTHER, ONE)[k], rng, 4)]
            tracks[f"{seed}-{i}"] = TokenTrack(np.concatenate([h.vectors for h in halves]), (np.arange(8) + 0.5) * 0.27)
        return Answering(np.ones((100, 8), np.float32), list(tracks), first), tracks

    (known, tracks), (asked, others) = clips(0), clips(1)
    assert right_share(tracks | others, known, asked) > 0.9


def test_the_scale_of_tokens_does_not_matter_and_neither_do_the_clips_beside() -> None:
    known, tracks = two_patterns(30)
    moved = {name: TokenTrack(1000 * t.vectors + 5, t.middle_s) for name, t in tracks.items()}
    a, b = (Tokens(t, known.clips).batch(known.clips[:6])[0].numpy() for t in (tracks, moved))
    assert np.allclose(a, b, atol=1e-3)
    tokens = Tokens(tracks, known.clips)
    reader = train_reader(known, tokens, 2, replace(QUICK, steps=20))
    together = answers_of(reader, known, tokens)
    rows = known.by_clip[known.clips[4]]
    alone = Answering(known.asked[rows], [known.clips[4]] * 2, known.answers[rows])
    assert answers_of(reader, alone, tokens).tolist() == together[rows].tolist()


def test_the_same_seed_trains_the_same_reader() -> None:
    known, tracks = two_patterns(20)
    tokens = Tokens(tracks, known.clips)
    a, b, c = (train_reader(known, tokens, 2, replace(QUICK, steps=3), seed) for seed in (1, 1, 2))
    weights = [m.state_dict()["ask.weight"].numpy() for m in (a, b, c)]
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_nothing_to_learn_and_odd_widths_are_refused() -> None:
    known, tracks = two_patterns(4)
    none = Answering(known.asked, known.clips, np.full(len(known.clips), -1))
    with pytest.raises(ValueError, match="no training question"):
        train_reader(none, Tokens(tracks, known.clips), 2, QUICK)
    with pytest.raises(ValueError, match="multiple of 3 heads, got 32"):
        ReaderConfig(width=32, heads=3)


# ---------------------------------------------------------------------------------------------- what counts


def ask(clip: str, answer: str, kind: str = "action", text: str = "What is done?", **more: object) -> Question:
    return Question(f"{clip}/{text}/{answer}", clip, text, answer, kind, **more)  # type: ignore[arg-type]


def a_set(train: list[Question], test: list[Question]) -> QuestionSet:
    """Questions about synthetic clips, every clip named by action and subject."""
    rng = np.random.default_rng(0)
    texts = sorted({q.text for q in (*train, *test)})
    names = sorted({q.clip for q in (*train, *test)})
    clips = {
        n: replace(kept_clip(n.partition("/")[0], n.partition("/")[2], source="cmu", frames=36), name=n) for n in names
    }
    sentences = {t: rng.normal(size=8).astype(np.float32) for t in texts}
    return QuestionSet(tuple(train), tuple(test), vocabulary(train, 2), sentences, clips, 0.1)


def untrained() -> HuMoCon:
    """A network whose codes lie anywhere."""
    model = HuMoCon(SMALL)
    model.motion.quantizer.start(torch.randn(200, model.motion.quantizer.config.width))
    return model.eval()


def actions_asked() -> QuestionSet:
    """Which action it is, of four subjects; and how many times, which training never says."""
    train = [ask(f"{a}/{s}", a) for a in ACTIONS for s in (1, 2, 3)]
    test = [ask(f"{a}/4", a) for a in ACTIONS] + [ask("walk/4", "17", "count", "How often?")]
    return a_set(train, test)


def test_rare_answers_are_not_learned_but_count_as_wrong() -> None:
    assert vocabulary([ask("a", x) for x in ("walk", "run", "walk", "run", "hop")], 2) == ("run", "walk")
    with pytest.raises(InputError, match="no answer occurs 3 times in 2 training questions"):
        vocabulary([ask("a", "walk"), ask("b", "run")], 3)
    asked = actions_asked()
    assert asked.out_of_reach == pytest.approx(1 / 7)
    got = reading(asked, concept_tracks(untrained(), asked.clips), replace(QUICK, steps=5), 0)
    assert len(got) == 7
    assert got[-1] == 0


def test_synonyms_count_and_kinds_without_exact_answers_are_not_asked() -> None:
    question = ask("a", "wave right hand", accepted=("wave",))
    assert points([question] * 3, ["Wave.", "wave right hand", "clap"]).tolist() == [1, 1, 0]
    closed = {
        k: is_closed(ask("a", "x", k)) for k in ("action", "side", "count", "speed", "when", "refusal", "caption")
    }
    assert [k for k, v in closed.items() if v] == ["action", "side", "count"]
    assert asks_how(ask("a", "left", "side"))
    assert not asks_how(ask("a", "walk", "action"))


def test_majority_answers_by_kind_and_nothing_where_the_kind_is_new() -> None:
    train = [ask("walk/1", "walk"), ask("walk/2", "walk"), ask("bend/1", "bend")]
    asked = a_set(train, [ask("walk/4", "walk"), ask("bend/4", "bend"), ask("bend/4", "no", "turn")])
    assert majority(asked).tolist() == [1, 0, 0]


def test_features_say_which_action_it_is_and_no_motion_does_not() -> None:
    asked = actions_asked()
    how = replace(QUICK, steps=120, rate=2e-3)
    assert reading(asked, feature_tracks(asked.clips), how, 0)[:-1].mean() > 0.8
    assert reading(asked, no_tracks(asked.clips), how, 0).sum() <= 2


def test_rows_of_runs_that_are_there_have_values_and_blind_readers_stand_beside(tmp_path: Path) -> None:
    runs = {a: [Run(untrained(), Kept(tmp_path)) for _ in range(2)] for a in ("full", "no_velocity", "plain")}
    rows = {r.id: r for r in question_rows(actions_asked(), runs, "make bench-concepts", replace(QUICK, steps=5))}
    assert set(rows) == {f"{part}_{a}" for part in ("questions", "questions_motion") for a in ABLATIONS}
    assert {k for k, r in rows.items() if r.value is None} == {
        f"{part}_{a}"
        for part in ("questions", "questions_motion")
        for a in ("no_discriminative", "no_actionable", "no_alignment")
    }
    full, without = rows["questions_full"], rows["questions_no_velocity"]
    assert full.baselines.keys() == {"majority by kind", "no motion", "DSTformer features", "paper (BABEL-QA)"}
    assert without.baselines["paper (BABEL-QA)"] == 0.637
    assert "7 closed questions on 6 clips" in full.split
    assert "1 closed questions on 1 clips" in rows["questions_motion_full"].split
    assert "all terms less this" in without.split
    assert "all terms less this" not in full.split
    single = question_rows(actions_asked(), {"full": runs["full"][:1]}, "make bench-concepts", replace(QUICK, steps=5))
    assert next(single).interval is None  # one run has no range
    assert full.interval is not None
    assert full.interval[0] <= full.value <= full.interval[1]  # type: ignore[operator]


# ------------------------------------------------------------------------------------------------ the folder


def write_questions(folder: Path) -> Path:
    """A small folder of questions as they are built."""
    texts = ["What is done?", "How fast?"]
    for part, subjects in (("train", "123"), ("val", "5"), ("test", "46")):
        clips = [
            replace(kept_clip(a, s, source="cmu", split=part), name=f"{part}-{a}-{s}")
            for a in ACTIONS
            for s in subjects
        ]
        save_part(folder, part, [np.asarray(c.features) for c in clips], clips)
        entries = [
            {"id": f"{c.name}/{i}", "clip": c.name, "question": texts[i], "answer": c.label, "kind": kind}
            for c in clips
            for i, kind in enumerate(("action", "speed"))
        ]
        questions_path(folder, part).write_text(json.dumps(entries))
    vectors = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    np.savez(folder / SENTENCES, texts=np.array(texts), vectors=vectors)
    return folder


def test_the_folder_is_read_with_its_clips_and_without_open_questions(tmp_path: Path) -> None:
    # Three training subjects and the one that is kept out: four of each answer, one short of what is learned.
    with pytest.raises(InputError, match="no answer occurs 5 times in 24"):
        load_questions(write_questions(tmp_path))
    path = questions_path(tmp_path, "train")
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([*entries, *({**e, "id": e["id"] + "b"} for e in entries)]))
    asked = load_questions(tmp_path)
    assert len(asked.train) == 42
    assert len(asked.test) == 12
    assert asked.left_out == pytest.approx(0.5)
    assert asked.answers == tuple(sorted(ACTIONS))
    assert asked.out_of_reach == 0
    assert {q.clip for q in load_questions(tmp_path, ("train",), "val").test} == {f"val-{a}-5" for a in ACTIONS}


def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no motion_qa_train.json; make the questions with .*build_concept"):
        load_questions(tmp_path)
    write_questions(tmp_path)
    np.savez(tmp_path / SENTENCES, texts=np.array(["Who?"]), vectors=np.zeros((1, 8), np.float32))
    with pytest.raises(InputError, match="no clip or sentence vector for question train-bend-1/0"):
        load_questions(tmp_path)


def test_people_on_whom_the_recipe_is_chosen_are_not_trained_on(tmp_path: Path) -> None:
    def labelled(action: str, subject: str, split: str) -> MocapClip:
        return replace(clip(action, subject, split=split), subject=f"s{subject}", clip_id=f"{action}_s{subject}")

    train = [labelled(a, s, "train") for a in ("squat", "walk") for s in "1357"]
    clips = [*train, *(labelled(a, s, "test") for a in ("squat", "walk") for s in "28")]
    config = QuestionsConfig((), tmp_path, of_action=5, joined=5)
    found = {part: part_motions(clips, part, config) for part in ("train", "val")}
    people = {
        part: {w for m in of for w in ("s1", "s2", "s3", "s5", "s7", "s8") if w in m.clip} for part, of in found.items()
    }
    assert people == {"train": {"s1", "s3", "s5"}, "val": {"s7"}}
    assert sum(len(m.actions) > 1 for m in found["train"]) == 5
    asked = part_questions(found["val"][0], 3, "val", config)
    assert len(asked) == 11
    assert not any(q["held_out"] for q in asked)
    assert asked == part_questions(found["val"][0], 3, "val", config)
    shown = mocap_clip(found["train"][-1], "train-0009")
    assert shown.label.count("+") >= 1
    assert len(shown) == len(found["train"][-1].pose)
