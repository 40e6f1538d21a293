"""Flow in the chat: measured on demand, both views at hand, its facts in the answers, stopped when it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from motionqa.assistant import flow_panel, released
from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.flow_panel import flow_offered, show_flow, switched
from motionqa.assistant.llm import GenerationConfig
from motionqa.assistant.session import ChatSession, Engine
from motionqa.assistant.tab import Visit
from motionqa.assistant.uploads import Uploads
from motionqa.data.schema import ClipEncoding, InputError, PersonTrack, Pose3D, PoseSequence
from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig, measure
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe
from motionqa.encoders.model_dir import save_model_dir
from motionqa.tests.fake_models import ScriptedModel
from motionqa.tests.flow_clips import Classical, patch_film, walk_of


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder()


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel("The person moves to the left at 0.7 body heights/s")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny flow network in the place of the released one, answering as a classical method does."""
    save_model_dir(tmp_path / "flow", HMoRe(FlowConfig(updates=1, trend_width=32, attention_blocks=1, trend_layers=1)))
    monkeypatch.setattr(released, "WEIGHTS", tmp_path)
    monkeypatch.setattr(flow_panel, "load_flow", lambda *_: Classical())
    return tmp_path / "flow"


def encoded(path: Path, pose: PoseSequence) -> ClipEncoding:
    """What the encoder would say of a patch: joints in the picture, flat in space."""
    xyz = pose.xy_px[..., [0, 1, 1]] * [0.014, -0.014, 0]
    flat = Pose3D(0, pose.skeleton, pose.fps, pose.times_s, xyz, pose.confidence, "made up", planar=True, camera=True)
    track = PersonTrack(0, pose.times_s[:1], pose.xy_px[:1, 0], pose.times_s[:1] + 60, pose.times_s[:1])
    return ClipEncoding("x", path.name, "video", 2.0, (track,), 0, pose, flat, measure(flat, EncoderConfig()))


@pytest.fixture
def visit(tmp_path: Path, model: ScriptedModel, embedder: SentenceEmbedder) -> Iterator[Visit]:
    """A tab with a clip of somebody who moves to the left."""
    clip, (pose,) = patch_film(tmp_path / "left.mp4", [walk_of(40, (250, 60), (-4.5, 0))])
    visit = Visit(ChatSession(Engine(ClipEncoder(), model, embedder, GenerationConfig(40))), Uploads())
    visit.chat.encoding = encoded(clip.path, pose)
    visit.source, visit.uses = clip.path, {"video", "flow"}
    yield visit
    visit.close()


def quiet(_stage: str, _share: float) -> None:
    """Progress nobody looks at."""


@pytest.mark.usefixtures("weights")
def test_flow_is_measured_once_and_both_views_are_at_hand(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[tuple[str, float]] = []
    note, video, facts = show_flow(visit, "world", lambda stage, share: stages.append((stage, share)))
    assert "in 19 of 19 pairs" in note
    assert Path(video["value"]).exists()
    assert video["visible"]
    assert "moves to the left of the picture" in facts
    assert 'href="#t=' in facts
    shares = [share for _, share in stages]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    monkeypatch.setattr(flow_panel, "encoded_flow", lambda *_: pytest.fail("measured again"))
    other = switched(visit, "local")
    assert other["value"] != video["value"]
    assert Path(other["value"]).exists()
    assert show_flow(visit, "world", quiet)[1]["value"] == video["value"]


@pytest.mark.usefixtures("weights")
def test_answers_may_use_what_the_flow_says_once_it_is_measured(visit: Visit, model: ScriptedModel) -> None:
    question = "Does the person move to the left of the picture, and at how many body heights per second?"
    *_, before = visit.chat.ask(question)
    assert not any("body heights" in e.fact.text for e in before.evidence)
    show_flow(visit, "world", quiet)
    *_, after = visit.chat.ask(question)
    cited = [e.fact for e in after.evidence if e.cited]
    assert any("at 0.7 body heights/s" in f.text for f in cited)
    assert "body heights/s" in model.shown[-1].turns[-1].text
    assert after.unmeasured == ()


@pytest.mark.usefixtures("weights")
def test_a_stop_ends_the_measuring_and_leaves_the_chat_as_it_was(visit: Visit) -> None:
    def stopping(_stage: str, share: float) -> None:
        if share > 0.3:
            visit.stop_flow()

    note, _, _ = show_flow(visit, "world", stopping)
    assert "Stopped" in note
    assert visit.flow is None
    assert visit.chat.learned == ()
    assert visit.source is not None  # so that it can be asked for again
    assert "pairs" in show_flow(visit, "world", quiet)[0]


@pytest.mark.usefixtures("weights")
def test_another_clip_ends_the_flow_of_the_one_before(visit: Visit) -> None:
    encoding = visit.chat.encoding
    assert encoding is not None
    shares: list[float] = []

    def replaced(_stage: str, share: float) -> None:
        shares.append(share)
        if share > 0.3:
            visit.chat.encoding = replace(encoding, name="another")

    show_flow(visit, "world", replaced)
    assert max(shares) < 0.8
    assert visit.flow is None
    assert not visit.chat.learn(encoding, encoding.report.facts[:1])


@pytest.mark.usefixtures("weights")
def test_the_upload_goes_when_nothing_needs_it_any_more(visit: Visit) -> None:
    visit.done("video")
    assert visit.source is not None
    show_flow(visit, "world", quiet)
    assert visit.source is None
    assert visit.flow is not None
    assert Path(switched(visit, "local")["value"]).exists()


@pytest.mark.usefixtures("weights")
def test_closing_the_tab_deletes_the_videos(visit: Visit) -> None:
    video = Path(show_flow(visit, "world", quiet)[1]["value"])
    visit.close()
    assert not video.exists()


@pytest.mark.usefixtures("weights")
def test_what_has_no_flow_gets_a_reason(visit: Visit) -> None:
    assert "no clip yet" in show_flow(None, "world", quiet)[0]
    encoding = visit.chat.encoding
    assert encoding is not None
    visit.chat.encoding = replace(encoding, kind="motion")
    assert "is a motion file: flow is measured in pictures" in show_flow(visit, "world", quiet)[0]
    visit.chat.encoding, visit.source = encoding, None
    assert "no longer here" in show_flow(visit, "world", quiet)[0]


def test_without_released_weights_flow_is_not_offered(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(released, "WEIGHTS", tmp_path / "none")
    encoding = visit.chat.encoding
    assert encoding is not None
    assert not flow_offered(encoding)
    assert "No flow weights are released yet" in show_flow(visit, "world", quiet)[0]


@pytest.mark.usefixtures("weights")
def test_flow_is_offered_for_videos_alone(visit: Visit) -> None:
    encoding = visit.chat.encoding
    assert encoding is not None
    assert flow_offered(encoding)
    assert not flow_offered(replace(encoding, kind="motion"))


def test_flow_weights_are_found_by_name_or_folder(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given = released.flow(), released.flow(str(weights))
    assert named == given
    assert len(named.version) == 16
    with pytest.raises(InputError, match="no flow network 'nothing'"):
        released.flow("nothing")
    monkeypatch.setattr(released, "WEIGHTS", tmp_path / "none")
    with pytest.raises(InputError, match="No flow weights are released yet"):
        released.flow()
