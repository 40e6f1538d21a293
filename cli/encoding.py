"""What the commands that encode a clip share: its configuration, and the line that shows how far it is."""

from __future__ import annotations

import sys

from motionqa.data.motion_files.raw_motion import MotionOverrides


def encoder_config(start_s: float, lifter: str, motion: MotionOverrides = MotionOverrides()):
    """How a clip is read and lifted; heavy imports are kept inside."""
    from motionqa.assistant.released import lifting
    from motionqa.data.video import DecodeConfig
    from motionqa.encoders.clip_encoder import EncoderConfig

    return EncoderConfig(decode=DecodeConfig(start_s=start_s), lifting=lifting(lifter), motion_file=motion)


def progress_line():
    """Stage and percentage on standard error, on one line; None where that is not a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(stage: str, share: float) -> None:
        print(f"\r{stage}: {share:4.0%}   ", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)

    return show
