"""Videos as concepts are learned from them: turned the way their skeletons are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionqa.data.packed_flow import packed_channels
from motionqa.data.schema import InputError
from motionqa.finetune.concept_features import FeatureConfig, pack_videos
from motionqa.finetune.depth_flow import DepthFlowConfig
from motionqa.finetune.depth_flow import main as pack_as_filmed
from motionqa.tests.depth_clips import depth_frames, skeleton, write_depth, write_skeletons

NAME = "a1_s1_t1"


@pytest.fixture
def films(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with a depth video of somebody who holds one hand aside, nearer than the body, and the skeletons."""
    body = skeleton(24, speed=0.0)
    (tmp_path / "videos").mkdir()
    write_depth(tmp_path / "videos" / f"{NAME}.mp4", depth_frames(body))
    return tmp_path / "videos", write_skeletons(tmp_path / "utd_mhad.npz", [NAME], [body])


def hand_side(folder: Path) -> float:
    """Where the nearest part lies beside the middle of the person: below 0 to the left of the picture."""
    seen = packed_channels(folder, NAME, "none")[0, 0]
    _, near = np.nonzero(seen > 0.95 * seen.max())
    _, person = np.nonzero(seen)
    return float(near.mean() - person.mean())


def test_depth_pictures_are_turned_the_way_their_skeletons_are(films: tuple[Path, Path], tmp_path: Path) -> None:
    videos, skeletons = films
    pack_as_filmed(DepthFlowConfig(videos, skeletons, tmp_path / "filmed"))
    config = FeatureConfig(out=tmp_path / "features", mocap=(skeletons,), videos=videos)
    pack_videos(config, skeletons, None)
    filmed, turned = hand_side(tmp_path / "filmed"), hand_side(tmp_path / "features" / "videos")
    assert abs(filmed) > 4
    assert turned == pytest.approx(-filmed, abs=2)


def test_videos_that_were_packed_unturned_are_refused(films: tuple[Path, Path], tmp_path: Path) -> None:
    videos, skeletons = films
    config = FeatureConfig(out=tmp_path / "features", mocap=(skeletons,), videos=videos)
    pack_videos(config, skeletons, None)
    about = next((tmp_path / "features" / "videos").glob("*.json"))
    about.write_text(about.read_text().replace("true", "false"))
    with pytest.raises(InputError):
        pack_videos(config, skeletons, None)
