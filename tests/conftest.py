"""Shapes are checked while testing; nothing reaches the network; every test run has a cache of its own."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from jaxtyping import install_import_hook

import motionqa.tests.typecheck  # noqa: F401 - the hook below finds it by name, but does not import it

ROOT = Path(__file__).parent.parent
# Gradio must see that the page's handlers are generators, which the checker's wrapper hides.
ASSISTANT = [f"motionqa.assistant.{p.stem}" for p in (ROOT / "assistant").glob("*.py") if p.stem not in ("visit",)]
install_import_hook(
    [
        *(f"motionqa.{room}" for room in ("assistant.coaching", "cli", "data", "encoders", "eval", "finetune")),
        *ASSISTANT,
    ],
    "motionqa.tests.typecheck.checked",
)

import pytest


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory):
    """Encodings and examples go to a folder of this run; the unpacked language model is shared with the user's."""
    from motionqa.data.cache import cache_root

    patch = pytest.MonkeyPatch()
    models = cache_root() / "llm"
    models.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("cache")
    (folder / "llm").symlink_to(models)
    patch.setenv("MOTIONQA_CACHE", str(folder))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def squat_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn person who squats three times and then raises the right arm: 30 fps, 640 x 480."""
    from motionqa.data.synthetic.drawn_figure import figure_frames
    from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats, stand
    from motionqa.data.video_writer import write_video

    person = render(concatenate(stand(0.5), squats(3), arm_raise("right"), stand(0.3)))
    return write_video(figure_frames(person), tmp_path_factory.mktemp("clips") / "squats.mp4")
