"""The cache of encodings: everything comes back, damage is survived, old files make room."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.cache import EncodingCache, content_sha256, encoding_key
from motionqa.data.schema import ClipEncoding
from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig, measure
from motionqa.encoders.people import PersonChoice


@pytest.fixture(scope="module")
def encoding(squat_video: Path) -> ClipEncoding:
    return ClipEncoder().encode(squat_video)


def load(cache: EncodingCache, key: str) -> ClipEncoding | None:
    return cache.load(key, lambda pose: measure(pose, EncoderConfig()))


def test_an_encoding_comes_back_whole(encoding: ClipEncoding, tmp_path: Path) -> None:
    cache = EncodingCache(tmp_path)
    cache.save("k", encoding)
    back = load(cache, "k")
    assert back is not None
    assert back.pose is not None
    assert encoding.pose is not None
    assert back.pose.mask is not None
    assert np.array_equal(back.pose.mask, encoding.pose.mask)  # type: ignore[arg-type]
    assert np.allclose(back.pose.xy_px, encoding.pose.xy_px, atol=0.01)
    assert back.pose3d.skeleton == encoding.pose3d.skeleton
    assert back.pose3d.root_motion == encoding.pose3d.root_motion
    again = measure(encoding.pose3d, EncoderConfig())
    assert [f.text for f in back.report.facts] == [f.text for f in again.facts]
    assert (back.notes, back.person_id, len(back.people)) == (encoding.notes, encoding.person_id, len(encoding.people))


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_file_is_removed_and_encoded_anew(
    encoding: ClipEncoding, tmp_path: Path, damage: bytes | None
) -> None:
    cache = EncodingCache(tmp_path)
    cache.save("k", encoding)
    path = tmp_path / "k.safetensors"
    path.write_bytes(path.read_bytes()[:500] if damage is None else damage)
    assert load(cache, "k") is None
    assert not path.exists()
    assert load(cache, "never saved") is None


def test_the_least_recently_used_files_make_room(encoding: ClipEncoding, tmp_path: Path) -> None:
    cache = EncodingCache(tmp_path)
    cache.save("old", encoding)
    size = (tmp_path / "old.safetensors").stat().st_size
    cache = EncodingCache(tmp_path, max_bytes=int(2.5 * size))
    cache.save("middle", encoding)
    os.utime(tmp_path / "old.safetensors", (1, 1))
    cache.save("new", encoding)
    assert {p.stem for p in tmp_path.glob("*.safetensors")} == {"middle", "new"}


def test_other_content_or_settings_have_another_key(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    config = EncoderConfig()
    keys = {
        encoding_key(content_sha256(tmp_path / "a"), config),
        encoding_key(content_sha256(tmp_path / "b"), config),
        encoding_key(content_sha256(tmp_path / "a"), replace(config, person=PersonChoice("central"))),
    }
    assert len(keys) == 3
