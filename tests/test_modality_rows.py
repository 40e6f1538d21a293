"""Training rows in three modalities: every subset of a clip's tokens, true answers, training people alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.assistant.model_dir import new_assistant
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.selection import GIVEN_AWAY, NO_MOTION, NOT_CLOSED, telling
from motionqa.data.reading import MODALITIES, ClipTokens
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.clip_tokens import TokenEncoder, TokenFiles, paired_clips
from motionqa.encoders.flow.flow_tokens import WIDTH
from motionqa.encoders.model_dir import save_model_dir
from motionqa.encoders.reader.network import MotionReader, ReaderConfig
from motionqa.finetune.instruct_rows import InstructRows
from motionqa.finetune.modality_rows import SUBSETS, ModalityRowsConfig, main
from motionqa.finetune.pretrain_concepts import SMALL
from motionqa.finetune.train_projector import AlignTraining
from motionqa.tests.assistant_models import tiny_base
from motionqa.tests.paired_world import write_concepts, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    return write_world(tmp_path_factory.mktemp("world"))


def config(world: TokenFiles, out: Path, **settings: object) -> ModalityRowsConfig:
    return ModalityRowsConfig(**vars(world), out=out, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rows(world: TokenFiles, tmp_path_factory: pytest.TempPathFactory) -> InstructRows:
    out = tmp_path_factory.mktemp("rows")
    main(config(world, out))
    return InstructRows(out)


def test_a_clip_is_shown_in_every_subset_of_its_tokens_and_never_in_words(
    world: TokenFiles, rows: InstructRows
) -> None:
    assert len(set(SUBSETS)) == 8
    assert rows.widths == {"motion": SMALL.motion.quantizer.width, "video": SMALL.video.quantizer.width, "flow": WIDTH}
    seen = {c.motion.clip: c for c in paired_clips(world, ("train",))}
    whole = TokenEncoder(world)(seen[rows[0].clip].seen)
    for shown, tokens, words in zip(SUBSETS, rows[0].tokens, rows[0].words, strict=True):
        assert not words
        for modality in MODALITIES:
            kept, all_rows = tokens.of(modality), whole.of(modality)
            assert (kept is not None) == (modality in shown)
            if kept is not None:
                np.testing.assert_array_equal(kept, all_rows)


def test_clips_are_those_of_training_people_seen_from_the_front(world: TokenFiles, rows: InstructRows) -> None:
    names = [rows[k].clip for k in range(len(rows))]
    assert names
    assert all("_s1_" in n or "_s3_" in n for n in names)
    assert all("_s2_" in c.name or "_s4_" in c.name for c in paired_clips(world, ("test",)))
    assert not any(c.seen.mirrored for c in paired_clips(world, ("train",)))


def test_the_action_covers_all_rows_of_whichever_modality_is_read(rows: InstructRows) -> None:
    assistant = new_assistant(tiny_base(), rows.widths, rows.sources)
    stage = AlignTraining(rows, assistant, clips=1, seed=0)
    found = {m: {len(rows[k].tokens[0].of(m)) for k in range(len(rows))} for m in MODALITIES}  # type: ignore[arg-type]
    seen: set[str] = set()
    for step in range(60):
        for modality, spans in stage.batch(step).items():
            assert len(spans.rows) in found[modality]
            seen.add(modality)
    assert seen == set(MODALITIES)
    assert all(stage.batch(step) for step in range(60))  # the empty reading teaches no projector anything


def test_questions_have_brief_true_answers(rows: InstructRows) -> None:
    for k in range(len(rows)):
        talks = rows[k].dialogues
        assert 5 <= len(talks) <= 14
        assert all(len(t) == 1 and t[0][0].endswith("Answer in a word or two.") for t in talks)
        (name,) = {s.name for s in rows[k].spans}
        others = {"swipe left", "swipe right", "jog", "walk"} - {name}
        assert not any(answer in others for ((_, answer),) in talks)
    assert any(a == s.name for k in range(len(rows)) for ((_, a),) in rows[k].dialogues for s in rows[k].spans)


def test_only_questions_that_tell_are_asked_one_of_each_kind_first() -> None:
    kinds = [*NOT_CLOSED, *NO_MOTION, *GIVEN_AWAY, "side", "side", "side", "action", "count"]
    many = [InstructExample("c", f"{k}?", "yes", "Yes.", kind, "label") for k, kind in enumerate(kinds)]
    kept = telling(many, 3, np.random.default_rng(0))
    assert sorted(e.kind for e in kept) == ["action", "count", "side"]
    assert len(telling(many, 99, np.random.default_rng(0))) == 5


def test_a_whole_build_stays_as_it_is_and_another_encoder_is_another_build(
    world: TokenFiles, rows: InstructRows, tmp_path: Path
) -> None:
    main(config(world, tmp_path))
    again = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    main(config(world, tmp_path))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == again
    assert again["part-00000.safetensors"] == (rows.folder / "part-00000.safetensors").read_bytes()
    other = replace(world, concepts=write_concepts(tmp_path / "other", seed=1))
    with pytest.raises(InputError, match="rows of another build"):
        main(config(other, tmp_path))


def test_a_few_clips_are_drawn_evenly(world: TokenFiles, tmp_path: Path) -> None:
    main(config(world, tmp_path, limit=3, questions=2))
    few = InstructRows(tmp_path)
    assert len(few) == 3
    assert all(len(few[k].dialogues) == 2 for k in range(3))
    assert len({few[k].spans[0].name for k in range(3)}) == 3


def test_clips_without_flow_are_counted_and_none_at_all_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = write_world(tmp_path, takes=1)
    whole = len(paired_clips(world, ("train",)))
    assert not capsys.readouterr().out
    names = [c.name for c in paired_clips(world, ("train",))]
    (world.packed / f"{names[0]}.hmore.npz").unlink()
    assert len(paired_clips(world, ("train",))) == whole - 1
    assert f"1 of {whole} clips lack a video, flow or a known action" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"no clip of utd_mhad for train .*depth_flow"):
        paired_clips(replace(world, packed=tmp_path / "nowhere"), ("train",))


def test_another_network_is_no_encoder_of_concepts(world: TokenFiles, tmp_path: Path) -> None:
    folder = save_model_dir(tmp_path, MotionReader(ReaderConfig(("squat",), width=32, heads=2)))
    with pytest.raises(InputError, match="holds a MotionReader, expected HuMoCon"):
        TokenEncoder(replace(world, concepts=folder))


def test_a_subset_keeps_rows_and_sources_of_its_own_modalities() -> None:
    tokens = ClipTokens(np.ones((2, 3)), None, np.zeros((4, 2)), {"motion": "a", "flow": "b"})
    kept = tokens.only(("flow", "video"))
    assert kept.motion is None
    assert kept.video is None
    assert kept.flow is tokens.flow
    assert json.dumps(dict(kept.sources)) == '{"flow": "b"}'
    with pytest.raises(ValueError, match="no modality 'sound'"):
        tokens.only(("sound",))
