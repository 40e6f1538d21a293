"""The detector's errors are found again where they are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.detector_noise import load
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.finetune.calibrated_views import (
    Camera,
    aligned,
    judged_by_others,
    read_qualisys,
    triangulate,
)
from motionqa.finetune.error_parts import bursts, runs, split_in_time
from motionqa.finetune.measure_detector_noise import Watched, episodes, judge, limbs_exchanged, measure, missing

FPS = 30.0
SIZE = (1088, 1920)


def ring(count: int = 4) -> tuple[Camera, ...]:
    """Cameras around the origin at 4 m, 1.5 m high, looking at it; Z is up."""
    cameras = []
    for k in range(count):
        angle = 2 * np.pi * k / count + 0.3
        centre = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.5])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        matrix = np.array([[1500.0, 0, 544], [0, 1500, 960], [0, 0, 1]])
        cameras.append(Camera(f"cam{k}", rotation, centre, matrix, np.zeros(5), SIZE))
    return tuple(cameras)


def body(frames: int = 60) -> np.ndarray:
    rng = np.random.default_rng(2)
    rest = rng.normal(size=(17, 3)) * (0.25, 0.25, 0.45)
    return rest + 0.05 * np.sin(np.linspace(0, 6, frames))[:, None, None] * rng.normal(size=(17, 3))


def seen(cameras: tuple[Camera, ...], xyz: np.ndarray) -> np.ndarray:
    return np.stack([c.project(xyz) for c in cameras])


def watched(cameras: tuple[Camera, ...], px: np.ndarray) -> list[Watched]:
    frames = px.shape[1]
    return [
        Watched(Path(f"{c.name}.mp4"), FPS, SIZE, xy, np.zeros(frames, bool), xy, np.full((frames, 17), 0.9))
        for c, xy in zip(cameras, px, strict=True)
    ]


def qualisys(cameras: tuple[Camera, ...]) -> str:
    text = ""
    for c in cameras:
        turn = np.diag([1, -1, -1]) @ c.rotation
        r = " ".join(f'r{i + 1}{j + 1}="{turn[i, j]}"' for i in range(3) for j in range(3))
        x, y, z = c.centre_m * 1000
        m = c.matrix * 64
        text += (
            f'<camera serial="{c.name}"><fov_video left="0" right="1087" top="0" bottom="1919"/>'
            f'<transform {r} x="{x}" y="{y}" z="{z}"/><intrinsic focalLengthU="{m[0, 0]}" focalLengthV="{m[1, 1]}" '
            f'centerPointU="{m[0, 2]}" centerPointV="{m[1, 2]}" radialDistortion1="-0.05" radialDistortion2="0.1" '
            'radialDistortion3="0" tangentalDistortion1="0.001" tangentalDistortion2="0.002"/></camera>'
        )
    return f"<calibration><cameras>{text}</cameras></calibration>"


def test_a_qualisys_file_gives_the_cameras_it_describes(tmp_path: Path) -> None:
    path = tmp_path / "c.qca.txt"
    path.write_text(qualisys(ring()))
    for found, wanted in zip(read_qualisys(path), ring(), strict=True):
        assert found.name == wanted.name
        assert found.size == SIZE
        assert np.allclose(found.projection, wanted.projection)
        assert found.distortion.tolist() == [-0.05, 0.1, 0.001, 0.002, 0]


@pytest.mark.parametrize("text", ["not xml", "<a/>", "<a><camera/><camera/><camera/></a>"])
def test_what_is_no_calibration_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.txt"):
        read_qualisys(path)


def test_a_calibration_without_a_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(qualisys(ring()).replace('focalLengthU="96000.0" ', "", 1))
    with pytest.raises(InputError, match="lacks a number"):
        read_qualisys(path)


def test_known_points_are_triangulated_exactly() -> None:
    cameras, xyz = ring(), body()
    px = seen(cameras, xyz)
    assert np.allclose(triangulate(cameras, px, np.ones(px.shape[:3])), xyz, atol=1e-8)


def test_pixels_of_a_letterboxed_and_bent_picture_are_straightened() -> None:
    import cv2

    camera = replace(ring()[0], distortion=np.array([-0.05, 0.1, 0.001, 0.002, 0]))
    xyz = body()[0]
    turn = cv2.Rodrigues(camera.rotation)[0]
    bent = cv2.projectPoints(xyz, turn, -camera.rotation @ camera.centre_m, camera.matrix, camera.distortion)[0][:, 0]
    scale = 1080 / 1088  # fitted into 1080 x 1920: bars of 7 pixels above and below
    film = bent * scale + (0, (1920 - 1920 * scale) / 2)
    assert np.abs(film - camera.project(xyz)).max() > 2
    assert np.allclose(camera.ideal(film, 1080, 1920), camera.project(xyz), atol=0.01)


def test_a_turned_camera_is_turned_back() -> None:
    from scipy.spatial.transform import Rotation

    cameras, xyz = ring(), body()
    px, weight = seen(cameras, xyz), np.ones((4, 60, 17))
    off = replace(cameras[1], rotation=Rotation.from_rotvec([0.01, -0.02, 0.01]).as_matrix() @ cameras[1].rotation)
    drifted = (cameras[0], off, *cameras[2:])
    assert np.abs(seen(drifted, xyz) - px).max() > 10
    found = aligned(drifted, px, weight)
    assert np.abs(seen(found, triangulate(found, px, weight)) - px).max() < 0.1


def test_one_wrong_view_does_not_spoil_the_judgement_of_the_others() -> None:
    cameras, xyz = ring(), body()
    px = seen(cameras, xyz)
    wrong = px.copy()
    wrong[2, :, 13] += 150
    expected, _ = judged_by_others(cameras, wrong, np.ones(px.shape[:3]), far_px=20)
    assert np.abs(expected - px).max() < 1e-3


def test_the_inflation_is_what_white_noise_shows() -> None:
    cameras, rng = ring(), np.random.default_rng(0)
    px = seen(cameras, body(400))
    noisy = px + rng.normal(size=px.shape)
    expected, inflation = judged_by_others(cameras, noisy, np.ones(px.shape[:3]), far_px=1e9)
    found = ((noisy - expected) ** 2).mean(axis=(1, 3))
    assert found.mean(axis=0) == pytest.approx(inflation.mean(axis=(0, 1)), rel=0.1)


def processes(shape: tuple[int, ...], time_s: float, rng: np.random.Generator) -> np.ndarray:
    """Unit AR(1) processes along axis 1, driven by another of the same coefficient; made by a long run-in."""
    from scipy.signal import lfilter

    keep, frames = np.exp(-1 / (FPS * time_s)), shape[1]
    white = rng.normal(size=(shape[0], frames + 400, *shape[2:]))
    out = np.asarray(lfilter([1], [1, -2 * keep, keep**2], white, axis=1))[:, 400:]
    return out / np.sqrt((1 + keep**2) / (1 - keep**2) ** 3)


def test_known_bias_slow_and_fast_noise_is_recovered() -> None:
    rng, shape = np.random.default_rng(0), (300, 60, 2, 2)
    error = 0.03 * rng.normal(size=(300, 1, 2, 2)) + 0.05 * processes(shape, 0.25, rng)
    error += 0.02 * processes(shape, 0.03, rng)
    found = split_in_time(error, FPS)
    assert found.bias_std == pytest.approx(0.03, rel=0.25)
    assert found.slow_std == pytest.approx(0.05, rel=0.15)
    assert found.fast_std == pytest.approx(0.02, rel=0.2)
    assert found.slow_s == pytest.approx(0.25, rel=0.3)
    assert found.fast_s == pytest.approx(0.03, rel=0.4)


def test_bursts_are_counted_measured_and_cut_off() -> None:
    error = 0.01 * processes((4, 300, 17, 2), 0.1, np.random.default_rng(0))
    error[0, 100:109, 5] += 0.5
    error[2, 50:56, 9] += 0.5
    calm, found = bursts(error, FPS)
    assert np.abs(calm - error)[0, 100:109, 5].min() > 0.3
    assert found["share"] == pytest.approx(0.005, abs=0.01)
    assert found["std"] > 0.05


def test_runs_episodes_and_gaps_are_counted() -> None:
    flags = np.array([0, 1, 1, 0, 1, 0], bool)
    assert runs(flags) == [2, 1]
    found = episodes([flags, flags], [2.0, 2.0])
    assert found["rate_hz"] == pytest.approx(4 / 6)
    assert found["duration_s"] == pytest.approx(0.75)
    assert missing(~flags).tolist() == flags.tolist()
    assert not missing(np.array([0, 0, 1, 1, 0], bool)).any()


def test_exchanged_legs_are_noticed_by_the_other_views() -> None:
    cameras = ring()
    px = seen(cameras, body())
    legs = [[H36M_17.index(f"{side}_{j}") for j in ("knee", "ankle")] for side in ("left", "right")]
    px[1, 20:26, [*legs[0], *legs[1]]] = px[1, 20:26, [*legs[1], *legs[0]]]
    judged = judge(cameras, watched(cameras, px))
    assert limbs_exchanged(judged) == [6]


def test_the_whole_measurement_finds_the_noise_that_was_added(tmp_path: Path) -> None:
    cameras, rng = ring(), np.random.default_rng(0)
    px = seen(cameras, body(90))
    size = np.sqrt(((px - px[:, :, :1]) ** 2).sum(axis=-1).mean(axis=2)).mean(axis=1)[:, None, None, None]
    noisy = px + size * 0.03 * processes(px.shape, 0.15, rng)
    noise, tables = measure(cameras, watched(cameras, noisy), watched(cameras[:1], noisy[:1]))
    total = np.sqrt(np.square(noise.slow_std) + np.square(noise.fast_std))
    assert np.mean(total) == pytest.approx(0.03, rel=0.25)
    assert noise.confidence_mean == pytest.approx((0.9,) * 17)
    assert noise.swap_rate_hz == pytest.approx(0.5 / 12, abs=1e-3)
    noise.to_json(tmp_path / "n.json", "drawn", tables)
    assert load(tmp_path / "n.json") == noise


def test_views_that_never_meet_are_refused() -> None:
    cameras = ring()
    views = watched(cameras, seen(cameras, body(30)))
    views[0] = replace(views[0], raw_xy=np.full((30, 17, 2), np.nan))
    with pytest.raises(InputError, match="0 frames"):
        judge(cameras, views)
