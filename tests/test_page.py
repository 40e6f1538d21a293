"""The page in a real browser and over its API: upload, ask, see, ask again, stop, and survive bad files."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.examples import write_trc
from motionqa.assistant.llm import GenerationConfig
from motionqa.assistant.session import Engine
from motionqa.assistant.ui import launch
from motionqa.assistant.uploads import Uploads, upload_folder
from motionqa.data.cache import EncodingCache
from motionqa.data.synthetic.motions import render, squats
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.tests.browser import opened
from motionqa.tests.fake_models import ScriptedModel
from motionqa.tests.video_files import sound_only

WORDS = "The person squats 3 times and then raises the right arm"


@pytest.fixture(scope="module")
def model() -> ScriptedModel:
    return ScriptedModel(WORDS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ClipEncoder:
    return ClipEncoder(cache=EncodingCache(tmp_path_factory.mktemp("encodings")))


@pytest.fixture(scope="module")
def address(model: ScriptedModel, encoder: ClipEncoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    patch = pytest.MonkeyPatch()
    patch.setattr("motionqa.assistant.uploads.GRACE_S", 2.0)
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
    engine = Engine(encoder, model, SentenceEmbedder(), GenerationConfig(40))
    url = launch(engine, port=None, block=False)
    yield url.rstrip("/")
    patch.undo()


@pytest.fixture(scope="module")
def squat_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "squats.trc"
    write_trc(render(squats(3)), path)
    return path


def gone(name: str) -> bool:
    """Whether an upload is deleted within a few seconds."""
    end = time.monotonic() + 40
    while list(upload_folder().rglob(name)) and time.monotonic() < end:
        time.sleep(0.2)
    return not list(upload_folder().rglob(name))


def test_an_upload_goes_only_when_its_last_user_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    (tmp_path / "gradio").mkdir()
    shared, example = upload_folder() / "a.trc", tmp_path / "example.trc"
    uploads = Uploads(grace_s=0.2)
    for path in (shared, example):
        path.touch()
        uploads.take(path)
    uploads.take(shared)
    uploads.release(shared)
    uploads.release(example)
    time.sleep(0.6)
    assert shared.exists()
    uploads.release(shared)
    assert gone("a.trc")
    assert example.exists()


# ------------------------------------------------------------------------------------------------- api


def test_the_api_answers_a_question_about_an_uploaded_file(address: str, squat_file: Path) -> None:
    from gradio_client import Client, handle_file

    reply: Any = Client(address, verbose=False).predict(
        handle_file(str(squat_file)), "How many squats?", api_name="/ask"
    )
    assert reply["text"] == WORDS
    assert any(e["fact"]["value"] == 3 and e["fact"]["topic"] == "count" for e in reply["evidence"])
    assert gone("squats.trc")


def test_the_api_explains_bad_input_and_goes_on(address: str, squat_file: Path, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    (tmp_path / "letter.mp4").write_text("Dear Sir, " * 99)
    client = Client(address, verbose=False)
    with pytest.raises(Exception, match=r"letter\.mp4"):
        client.predict(handle_file(str(tmp_path / "letter.mp4")), "What?", api_name="/ask")
    with pytest.raises(Exception, match="question is empty"):
        client.predict(handle_file(str(squat_file)), " ", api_name="/ask")
    assert client.predict(handle_file(str(squat_file)), "How many?", api_name="/ask")["text"] == WORDS


def test_only_ask_is_offered_as_an_api(address: str) -> None:
    offered = httpx.get(f"{address}/gradio_api/info").json()
    assert set(offered["named_endpoints"]) == {"/ask"}


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", "../../etc/passwd", "assistant/ui.py"])
def test_no_other_file_of_the_machine_is_served(address: str, path: str) -> None:
    absolute = path if path.startswith("/") else str(Path(__file__).parent.parent / path)
    for name in (path, absolute):
        assert httpx.get(f"{address}/gradio_api/file={name}").status_code in (403, 404)


# --------------------------------------------------------------------------------------------- browser


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    with opened(address) as tab:
        yield tab


def ask(page: Any, question: str) -> None:
    box = page.locator("#question textarea")
    box.fill(question)
    box.press("Enter")


def upload(page: Any, path: Path) -> None:
    page.set_input_files("#upload input[type=file]", str(path))


@pytest.mark.browser
def test_a_video_is_uploaded_asked_about_twice_and_encoded_once(
    page: Any, squat_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[Path] = []
    original = ClipEncoder.encode

    def counted(self: ClipEncoder, path: Any, *args: Any) -> Any:
        encoded.append(Path(path))
        return original(self, path, *args)

    monkeypatch.setattr(ClipEncoder, "encode", counted)
    upload(page, squat_video)
    page.wait_for_selector("#clip video")
    assert "is ready" in page.inner_text("#status")
    ask(page, "How many squats?")
    page.wait_for_selector("#chat a[href*='#t=']")
    assert WORDS in page.inner_text("#chat")
    ask(page, "Which arm is raised?")
    page.wait_for_function(f"document.querySelector('#chat').innerText.split('{WORDS}').length === 3")
    assert len(encoded) == 1
    # A chip moves the video to its moment.
    chip = page.locator("#chat a[href*='#t=']").last
    start = float(chip.get_attribute("href").split("#t=")[1].split(",")[0])
    chip.click()
    page.wait_for_function(f"Math.abs(document.querySelector('#clip video').currentTime - {start}) < 3")
    assert page.evaluate("document.querySelector('#clip video').duration") > 8
    for name, inside in (
        ("Moments", "#facts a"),
        ("Joint angles", "#angles .js-plotly-plot"),
        ("3D figure", "#space iframe"),
    ):
        page.get_by_role("tab", name=name).click()
        page.wait_for_selector(inside)
    player = page.frame_locator("#space iframe")
    player.locator("canvas").first.wait_for()
    # The upload is kept for the flow, and gone once that is drawn.
    assert list(upload_folder().rglob("squats.mp4"))
    page.get_by_role("button", name="Flow", exact=False).first.click()
    page.locator("#show-flow").click()
    page.wait_for_selector("#flow video", timeout=240_000)
    assert "problem" not in page.inner_html("#flow-note")
    assert gone("squats.mp4")


@pytest.mark.browser
def test_bad_files_get_a_message_and_the_chat_still_works(page: Any, squat_file: Path, tmp_path: Path) -> None:
    ask(page, "What is she doing?")
    page.wait_for_selector("#chat :text('Upload a video or a motion file first')")
    upload(page, sound_only(tmp_path / "talk.mp4"))
    page.wait_for_selector("#status .problem :text('only sound'), #status .problem:has-text('only sound')")
    (tmp_path / "junk.bvh").write_bytes(bytes(range(256)) * 20)
    upload(page, tmp_path / "junk.bvh")
    page.wait_for_selector("#status .problem:has-text('junk.bvh')")
    awkward = tmp_path / "my squats 🏋 (1).trc"
    shutil.copy(squat_file, awkward)
    upload(page, awkward)
    page.wait_for_selector("#clip video")
    ask(page, "How many squats?")
    page.wait_for_selector("#chat a[href*='#t=']")
    assert "Traceback" not in page.content()


@pytest.mark.browser
def test_the_stop_button_ends_an_answer(page: Any, squat_file: Path, model: ScriptedModel) -> None:
    upload(page, squat_file)
    page.wait_for_selector("#clip video")
    model.delay_s = 0.5
    try:
        ask(page, "How many squats?")
        page.wait_for_selector("#chat :text('The person')")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_selector("#chat :text('Stopped')")
        assert WORDS not in page.inner_text("#chat")
    finally:
        model.delay_s = 0.0


@pytest.mark.browser
def test_two_tabs_have_conversations_of_their_own(page: Any, address: str, squat_file: Path) -> None:
    upload(page, squat_file)
    page.wait_for_selector("#clip video")
    ask(page, "A secret question about squats?")
    page.wait_for_selector("#chat a[href*='#t=']")
    other = page.context.browser.new_page()
    other.goto(address)
    other.wait_for_selector("#question textarea")
    assert "secret" not in other.content()
    ask(other, "What did they do?")
    other.wait_for_selector("#chat :text('Upload a video or a motion file first')")


@pytest.mark.browser
def test_a_phone_gets_one_column_without_sideways_scrolling(page: Any) -> None:
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 381
    upload_box, chat_box = page.locator("#upload").bounding_box(), page.locator("#chat").bounding_box()
    assert chat_box["y"] > upload_box["y"] + upload_box["height"]


def test_uploads_do_not_wait_for_one_another(address: str, squat_file: Path) -> None:
    from gradio_client import Client, handle_file

    replies: list[Any] = []

    def run() -> None:
        replies.append(
            Client(address, verbose=False).predict(handle_file(str(squat_file)), "How many?", api_name="/ask")
        )

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [r["text"] for r in replies] == [WORDS] * 3
