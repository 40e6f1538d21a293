"""CASIA-B as its users have it: the official layout, the protocol's sides, and what is counted when it is not whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from motionqa.data.casia_b import GaitSequence, find_casia_b, read_gait_clip
from motionqa.data.packed_flow import PackedName, packed_channels, packed_names
from motionqa.data.schema import InputError
from motionqa.data.video_writer import write_video
from motionqa.finetune.flow_channels import ChannelConfig
from motionqa.finetune.gait_flow import GaitFlowConfig, main

SMALL = ChannelConfig(steps=3, size=64, flow_side=64, follow=True)


def silhouettes(frames: int = 8, speed_px: int = 4) -> np.ndarray:
    """Somebody who crosses the picture to the right: [T, 120, 160], 0 or 255."""
    pictures = np.zeros((frames, 120, 160), np.uint8)
    for k in range(frames):
        pictures[k, 20:100, 30 + speed_px * k : 60 + speed_px * k] = 255
    return pictures


def write_sequence(root: Path, name: str, pictures: np.ndarray, numbers: list[int] | None = None) -> Path:
    """Silhouettes of a sequence named 001-nm-01-090 where the official release has them."""
    subject, kind, take, view = name.split("-")
    folder = root / subject / f"{kind}-{take}" / view
    folder.mkdir(parents=True)
    for number, picture in zip(numbers or range(1, len(pictures) + 1), pictures, strict=True):
        cv2.imwrite(str(folder / f"{name}-{number:03d}.png"), picture)
    return folder


def write_film(root: Path, name: str, frames: int, size: tuple[int, int] = (120, 160)) -> Path:
    """A video whose frame k is of grey 20 k, in the container that the official ones have."""
    root.mkdir(exist_ok=True)
    pictures = (np.full((*size, 3), 20 * (k + 1), np.uint8) for k in range(frames))
    made = write_video(((k / 25, p) for k, p in enumerate(pictures)), root / f"{name}.mp4")
    return made.rename(root / f"{name}.avi")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("001-nm-01-090", "074-cl-02-000", "075-nm-04-018", "075-nm-05-180", "124-bg-01-054", "124-cl-01-054"):
        write_sequence(tmp_path / "set", name, silhouettes())
    return tmp_path / "set"


def test_the_first_74_people_train_and_nm_1_to_4_of_the_others_are_the_gallery(root: Path) -> None:
    found = {s.name: s.role for s in find_casia_b(root).sequences}
    assert found == {
        "001-nm-01-090": "train", "074-cl-02-000": "train", "075-nm-04-018": "gallery", "075-nm-05-180": "probe",
        "124-bg-01-054": "probe", "124-cl-01-054": "probe",
    }  # fmt: skip


def test_what_is_missing_empty_or_of_other_names_is_counted_and_said(root: Path) -> None:
    (root / "003" / "nm-01" / "090").mkdir(parents=True)
    for strange in ("125/nm-01/090", "001/nm-07/090", "001/nm-01/091", "abc/nm-01/090"):
        (root / strange).mkdir(parents=True)
    found = find_casia_b(root)
    assert found.empty == ("003/nm-01/090",)
    assert set(found.strange) == {"125/nm-01/090", "001/nm-07/090", "001/nm-01/091", "abc/nm-01/090"}
    assert found.missing == 13_640 - 6
    for words in ("2 train (2 people)", "1 gallery (1 people)", "3 probe", "13634 of the official 13,640", "1 empty"):
        assert words in found.report
    assert "4 folders of unknown names" in found.report
    assert "0 sequences have their video" in found.report


def test_a_folder_of_something_else_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        find_casia_b(tmp_path / "nowhere")
    (tmp_path / "other" / "a" / "b" / "c").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"no folders like 001/nm-01/090 with .png files \(0 empty, 1 of other names\)"
    ):
        find_casia_b(tmp_path / "other")
    with pytest.raises(InputError, match=r"no videos named like 001-nm-01-090.avi"):
        find_casia_b(root, tmp_path / "other")


def test_silhouettes_alone_are_their_own_pictures(root: Path) -> None:
    clip = read_gait_clip(find_casia_b(root).sequences[0])
    assert not clip.filmed
    assert clip.pictures.shape == (8, 120, 160, 3)
    np.testing.assert_array_equal(clip.pictures[..., 0] > 0, clip.mask)
    assert clip.left_out == 0


def test_silhouettes_find_their_frames_in_the_video_by_number(tmp_path: Path) -> None:
    write_sequence(tmp_path / "set", "001-nm-01-090", silhouettes(4), [3, 4, 5, 9])
    write_film(tmp_path / "film", "001-nm-01-090", 6)
    (sequence,) = find_casia_b(tmp_path / "set", tmp_path / "film").sequences
    clip = read_gait_clip(sequence)
    assert clip.filmed
    assert clip.left_out == 1  # number 9 is beyond the end
    np.testing.assert_allclose(clip.pictures.mean(axis=(1, 2, 3)), [60, 80, 100], atol=4)


def test_the_longest_stretch_without_a_hole_is_kept(tmp_path: Path) -> None:
    pictures = silhouettes(8)
    pictures[2] = 0
    write_sequence(tmp_path / "set", "001-nm-01-090", pictures)
    clip = read_gait_clip(find_casia_b(tmp_path / "set").sequences[0])
    assert clip.left_out == 3
    np.testing.assert_array_equal(clip.mask, pictures[3:] > 0)


def test_sequences_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    def read(name: str, pictures: np.ndarray, films: Path | None = None) -> None:
        write_sequence(tmp_path / name, name, pictures)
        read_gait_clip(find_casia_b(tmp_path / name, films).sequences[0])

    with pytest.raises(InputError, match="all 8 silhouettes are black"):
        read("001-nm-01-000", np.zeros_like(silhouettes()))
    write_film(tmp_path / "film", "001-nm-01-018", 8, (60, 80))
    with pytest.raises(InputError, match="80 x 60 pixels and the silhouettes 160 x 120"):
        read("001-nm-01-018", silhouettes(), tmp_path / "film")
    folder = write_sequence(tmp_path / "set", "001-nm-01-090", silhouettes())
    (sequence,) = find_casia_b(tmp_path / "set").sequences
    (folder / "001-nm-01-090-002.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1 pictures cannot be read, such as 001-nm-01-090-002.png"):
        read_gait_clip(sequence)
    cv2.imwrite(str(folder / "001-nm-01-090-002.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(InputError, match="of one size"):
        read_gait_clip(sequence)
    (folder / "001-nm-01-090-002.png").unlink()
    cv2.imwrite(str(folder / "last.png"), silhouettes()[0])
    with pytest.raises(InputError, match=r"last.png does not end with a frame number"):
        read_gait_clip(sequence)


def test_sequences_are_packed_with_the_protocol_and_those_left_out_are_listed(root: Path, tmp_path: Path) -> None:
    write_sequence(root, "076-nm-01-000", np.zeros_like(silhouettes()))
    config = GaitFlowConfig(root, tmp_path / "packed", channels=SMALL)
    main(config)
    names = packed_names(config.out)
    assert len(names) == 6
    assert PackedName("075-nm-04-018", "nm", "075", "04", "018", "gallery") in names
    left_out = json.loads((config.out / "left_out.json").read_text())
    assert list(left_out) == ["076-nm-01-000"]
    assert "all 8 silhouettes are black" in left_out["076-nm-01-000"]
    assert json.loads((config.out / "about.json").read_text())["pictures"] == "silhouettes"
    # 4 pixels a frame at 25 frames a second of somebody 80 pixels tall: flow in the world, though windows follow.
    clip = packed_channels(config.out, "001-nm-01-090", "dis")
    speed = np.abs(clip[:, 1]).max(axis=(1, 2))
    assert (speed > 0.6).all()
    assert (speed < 2.0).all()


def test_a_set_of_which_nothing_can_be_packed_is_refused(tmp_path: Path) -> None:
    write_sequence(tmp_path / "set", "001-nm-01-000", silhouettes(2))
    with pytest.raises(InputError, match="none of 1 sequences could be packed"):
        main(GaitFlowConfig(tmp_path / "set", tmp_path / "packed", channels=SMALL))


def test_a_sequence_is_named_as_the_official_videos_are() -> None:
    sequence = GaitSequence("007", "bg-02", 18, Path("x"))
    assert sequence.name == "007-bg-02-018"
    assert replace(sequence, subject="075").role == "probe"
