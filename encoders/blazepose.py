"""The two BlazePose networks that ship inside the mediapipe wheel, run through mediapipe's own graphs.

Bazarevsky et al., "BlazePose: On-device real-time body pose tracking" (arXiv 2006.10204). Anchors, non-maximum
suppression, region tracking and the mask are mediapipe's; this module only feeds frames and reads results.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from motionqa.data.schema import Array
from motionqa.data.skeleton import BLAZEPOSE_33

_DETECTOR_GRAPH = """
input_stream: "image"
output_stream: "detections"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""


@dataclass(frozen=True)
class BodyCircle:
    """A person found in an image: a circle around the whole body, centred between the hips."""

    x_px: float
    y_px: float
    radius_px: float
    score: float


@dataclass(frozen=True, eq=False)
class Landmarks:
    """One person's 33 landmarks in one image."""

    xy_px: Float[Array, "33 2"]
    visibility: Float[Array, "33"]
    world_m: Float[Array, "33 3"]
    """Metres about the middle of the hips: X to the image's right, Y up, Z towards the camera."""
    mask: Float[Array, "H W"] | None
    """Probability of person per pixel."""


class PersonDetector:
    """Finds every person in an image (the network's input is 224 pixels: small people need a crop)."""

    def __init__(self) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")
        from google.protobuf import text_format
        from mediapipe.framework import calculator_pb2
        from mediapipe.python.solution_base import SolutionBase

        graph = text_format.Parse(_DETECTOR_GRAPH, calculator_pb2.CalculatorGraphConfig())  # type: ignore[attr-defined]
        self._graph = SolutionBase(graph_config=graph, outputs=["detections"])

    def __call__(self, image: UInt8[Array, "H W 3"]) -> list[BodyCircle]:
        """People in an RGB image, most certain first."""
        height, width = image.shape[:2]
        result: Any = self._graph.process({"image": np.ascontiguousarray(image)})
        found = result.detections or []
        circles = []
        for detection in found:
            hip, edge = detection.location_data.relative_keypoints[:2]
            radius = float(np.hypot((edge.x - hip.x) * width, (edge.y - hip.y) * height))
            circles.append(BodyCircle(hip.x * width, hip.y * height, radius, float(detection.score[0])))
        return sorted(circles, key=lambda c: -c.score)

    def close(self) -> None:
        """Frees the network."""
        self._graph.close()


class LandmarkTracker:
    """Follows one person's landmarks through consecutive images. One tracker per person and clip."""

    def __init__(self, min_confidence: float, with_mask: bool) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")
        from mediapipe.python.solutions.pose import Pose

        # Smoothing stays off: the whole clip is at hand, so a filter without delay follows (encoders/pose.py).
        self._pose = Pose(
            model_complexity=1,
            smooth_landmarks=False,
            enable_segmentation=with_mask,
            smooth_segmentation=False,
            min_detection_confidence=min_confidence,
            min_tracking_confidence=min_confidence,
        )

    def __call__(self, image: UInt8[Array, "H W 3"]) -> Landmarks | None:
        """Landmarks in the next RGB image, or None where no person is found."""
        result: Any = self._pose.process(np.ascontiguousarray(image))
        if result.pose_landmarks is None or result.pose_world_landmarks is None:
            return None
        height, width = image.shape[:2]
        points = np.array([(p.x * width, p.y * height, p.visibility) for p in result.pose_landmarks.landmark])
        world = np.array([(p.x, -p.y, -p.z) for p in result.pose_world_landmarks.landmark])
        assert len(points) == len(BLAZEPOSE_33)
        return Landmarks(points[:, :2], points[:, 2], world, result.segmentation_mask)

    def restart(self) -> None:
        """Forgets the person, so that the next image is searched afresh."""
        self._pose.reset()

    def close(self) -> None:
        """Frees the networks."""
        self._pose.close()
