"""`motionqa flow`: a person's flow painted into the video, and what it says in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from motionqa.cli.encoding import encoder_config, progress_line
from motionqa.data.schema import InputError


def flow(
    clip: Annotated[Path, tyro.conf.Positional],
    /,
    out: Path = Path("flow.mp4"),
    view: Literal["world", "local"] = "world",
    person: int | None = None,
    weights: str = "flow",
    start_s: float = 0.0,
    lifter: str = "dstformer",
    pairs_per_s: float = 10.0,
    cache: bool = True,
) -> int:
    """Writes the video with the person's flow painted over them (H-MoRe), and prints what the flow says.

    Args:
        clip: video
        out: the painted video, mp4
        view: flow in the picture (world), or relative to the person's own course (local)
        person: number of the person, where several are in view
        weights: folder of a trained flow network instead of the released one
        start_s: analyse a long video from here
        lifter: what puts a video's joints into space, as for the other commands; flow itself does not need it
        pairs_per_s: pairs of frames a second that are looked at
        cache: keep the clip's encoding
    """
    from motionqa.assistant.flow_view import draw_flow, flow_note
    from motionqa.assistant.released import flow as released_flow
    from motionqa.data.cache import EncodingCache
    from motionqa.encoders.clip_encoder import ClipEncoder
    from motionqa.encoders.flow.clip import FlowClipConfig, encoded_flow
    from motionqa.encoders.flow.facts import flow_facts
    from motionqa.encoders.flow.network import load_flow
    from motionqa.encoders.people import PersonChoice

    found = released_flow(weights)
    if out.suffix.lower() != ".mp4":
        raise InputError(f"The painted video is an mp4 file; got {out.name!r}. Give a name that ends in .mp4.")
    if pairs_per_s <= 0:
        raise InputError(f"pairs_per_s must be above 0, got {pairs_per_s}")
    config, show = encoder_config(start_s, lifter), progress_line()
    encoder = ClipEncoder(config, EncodingCache() if cache else None)
    encoding = encoder.encode(clip, show, PersonChoice(person_id=person) if person is not None else None)
    network = load_flow(found.weights, found.version)
    field = encoded_flow(
        clip, encoding, config.decode, network, FlowClipConfig(pairs_per_s=pairs_per_s),
        (lambda share: show("measuring flow", share)) if show else None,
    )  # fmt: skip
    assert encoding.pose is not None
    drawing = (lambda share: show("drawing", share)) if show else None
    print(draw_flow(clip, [(encoding.pose, field)], out, view, config.decode, progress=drawing))
    print(flow_note(field))
    for fact in flow_facts(field):
        print(f"   {fact.start_s:5.1f}-{fact.end_s:.1f} s  {fact.text}")
    for note in encoding.notes:
        print(f" ! {note}")
    return 0
