"""What each modality is worth: answers that need a modality fall with it, and rows say by how much."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from motionqa.assistant.model_dir import Base, load_assistant, new_assistant, save_assistant
from motionqa.data.packed_flow import packed_names
from motionqa.data.reading import MODALITIES
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.clip_tokens import TokenEncoder, TokenFiles, paired_clips
from motionqa.eval.benchmark import Row, publish, published
from motionqa.eval.modality_questions import (
    SHOWN,
    UNSTEADY,
    ModalityConfig,
    Points,
    answers,
    ask,
    asked_about,
    put,
    rows_of,
)
from motionqa.eval.qa.question import Question
from motionqa.tests.assistant_models import talkative, tiny_base
from motionqa.tests.depth_clips import write_packed
from motionqa.tests.paired_world import write_concepts, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    return write_world(tmp_path_factory.mktemp("world"))


def untrained(world: TokenFiles, folder: Path, base: Base) -> Path:
    """An assistant that never saw a clip, with projectors for the world's tokens."""
    encoder = TokenEncoder(world)
    tokens = encoder(paired_clips(world, ("test",))[0].seen)
    widths = {m: rows.shape[1] for m in MODALITIES if (rows := tokens.of(m)) is not None}
    assistant = new_assistant(base, widths, encoder.sources)
    return save_assistant(folder, assistant.model, assistant.processor)


def config(world: TokenFiles, llm: Path, out: Path, **settings: object) -> ModalityConfig:
    return ModalityConfig(**vars(world), llm=llm, out=out, **settings)  # type: ignore[arg-type]


def test_what_is_not_shown_does_not_change_an_answer_and_what_is_shown_does(world: TokenFiles, tmp_path: Path) -> None:
    few = config(world, tmp_path, tmp_path, limit=12, questions=4)
    encoder, asked = TokenEncoder(world), asked_about(paired_clips(world, ("test",)), few)
    tokens = encoder(asked[0][0].seen)
    widths = {m: rows.shape[1] for m in MODALITIES if (rows := tokens.of(m)) is not None}
    assistant = talkative(new_assistant(tiny_base(), widths, encoder.sources))
    turned = [replace(n, label="to the right") for n in packed_names(world.packed)]
    other = TokenEncoder(replace(world, packed=write_packed(tmp_path / "packed", turned)))
    first, second = (answers(assistant, e, asked, tuple(SHOWN), tmp_path / f"{id(e)}.jsonl") for e in (encoder, other))
    changed = {name for name in SHOWN if first[name] != second[name]}
    assert changed == {name for name, shown in SHOWN.items() if "flow" in shown}
    alike = {a for a in SHOWN for b in SHOWN if a < b and first[a] == first[b]}
    assert not alike


def test_answers_are_kept_and_not_asked_for_again(world: TokenFiles, tmp_path: Path) -> None:
    base = tiny_base()
    settings = config(world, untrained(world, tmp_path / "llm", base), tmp_path / "out", limit=10, questions=4)
    first = ask(settings, base)
    kept = (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
    assert len(first.questions) == 10
    assert len(kept) == 3
    assert set(first.by_showing) == set(SHOWN)
    changed = json.loads(kept[0])
    for showing in changed["said"].values():
        showing.update({q.id: q.answer for q in first.questions if q.id in showing})
    cut_off = json.dumps(changed) + "\n" + kept[1][:20]
    (tmp_path / "out" / "answers.jsonl").write_text(cut_off)
    again = ask(settings, base)
    assert all(again.mean(name) >= 0.4 for name in SHOWN)
    assert (tmp_path / "out" / "answers.jsonl").read_text().splitlines()[1:] == kept[1:]
    with pytest.raises(InputError, match="made otherwise"):
        ask(replace(settings, seed=1), base)


def test_held_out_people_are_asked_in_held_out_words_clips_evenly_drawn(world: TokenFiles, tmp_path: Path) -> None:
    clips = paired_clips(world, ("test",))
    some = asked_about(clips, config(world, tmp_path, tmp_path, limit=9, questions=2))
    assert sum(len(q) for _, q in some) == 9
    assert len(some) == 5
    assert len({c.motion.actions[0].name for c, _ in some}) > 2
    assert {q.clip.split("_")[1] for _, of in some for q in of} <= {"s2", "s4"}
    everything = asked_about(clips, config(world, tmp_path, tmp_path, limit=None, questions=3))
    assert [len(q) for _, q in everything] == [3] * len(clips)


def test_an_assistant_of_another_encoder_is_refused(world: TokenFiles, tmp_path: Path) -> None:
    base = tiny_base()
    llm = untrained(world, tmp_path / "llm", base)
    other = replace(world, concepts=write_concepts(tmp_path / "other", seed=1))
    with pytest.raises(InputError, match="was trained on motion tokens of"):
        ask(config(other, llm, tmp_path / "out", limit=4), base)
    with pytest.raises(InputError, match="belong together"):
        config(world, llm, tmp_path / "out", without_velocity=llm)


def test_a_second_assistant_reads_its_own_tokens(world: TokenFiles, tmp_path: Path) -> None:
    base = tiny_base()
    other = replace(world, concepts=write_concepts(tmp_path / "concepts", seed=1))
    llms = [untrained(w, tmp_path / name, base) for name, w in (("first", world), ("second", other))]
    settings = config(
        world, llms[0], tmp_path / "out", limit=4, without_velocity=llms[1], concepts_without_velocity=other.concepts
    )
    found = ask(settings, base)
    assert set(found.by_showing) == {*SHOWN, *UNSTEADY.values()}
    assert load_assistant(llms[1], base).processor.config.sources == TokenEncoder(other).sources


# ---------------------------------------------------------------------------------------------------- rows


def scored() -> Points:
    """Forty clips of two questions: without flow every fourth is wrong, without anything every action."""
    questions = [
        Question(f"{c}/{k}", f"clip {c}", "?", "a", kind)
        for c in range(40)
        for k, kind in enumerate(("action", "side"))
    ]
    wrong = {"all": [], "no flow": range(0, 80, 4), "none": range(0, 80, 2), UNSTEADY["motion"]: range(8)}
    wrong["motion"] = range(2)
    return Points(questions, {k: [float(i not in v) for i in range(80)] for k, v in wrong.items()})


def test_rows_say_what_is_lost_and_how_surely() -> None:
    rows = {r.id: r for r in rows_of(scored(), "80 questions")}
    without = rows["tokens shown: no flow"]
    assert (without.value, without.baselines["all"], without.baselines["all less this"]) == (0.75, 1.0, 0.25)
    assert "all less this +0.2500 [+0." in without.split
    assert without.interval is not None
    assert without.interval[0] < 0.75 < without.interval[1]
    assert rows["tokens shown: all"].baselines == {}
    unsteady = rows["tokens shown: motion of an encoder without velocity terms"]
    assert unsteady.baselines == {"motion": 0.975, "motion less this": 0.075}


def test_rows_of_kinds_stand_beside_and_kinds_that_nobody_asked_are_left_out() -> None:
    rows = {r.id: r for r in rows_of(scored(), "")}
    action, side = rows["tokens shown: all, kind action"], rows["tokens shown: all, kind side"]
    assert (action.baselines["none"], side.baselines["none"]) == (0, 1)
    assert action.unit == "exact, n=40"
    assert not any("posture" in name for name in rows)


def test_the_table_is_joined_and_written_only_when_it_is_asked_for(world: TokenFiles, tmp_path: Path) -> None:
    results = tmp_path / "docs"
    publish("motion_qa", [Row("overall", 0.8, "exact"), Row("tokens shown: all", 0.1, "exact")], results)
    rows = [Row("tokens shown: all", 0.6, "exact"), Row("tokens shown: none", 0.4, "exact")]
    quiet = config(world, tmp_path, tmp_path / "out")
    assert put(rows, quiet, results).parent == tmp_path / "out"
    assert {k: r.value for k, r in published("motion_qa", results).items()} == {
        "overall": 0.8,
        "tokens shown: all": 0.1,
    }
    put(rows, replace(quiet, publish=True), results)
    joined = {k: r.value for k, r in published("motion_qa", results).items()}
    assert joined == {"overall": 0.8, "tokens shown: all": 0.6, "tokens shown: none": 0.4}
