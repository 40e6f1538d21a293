"""A concept as people can see it: skeleton strips, words, neighbours, its colour and its place on the map.

Strips show the person turned by 30° and seen from a little above, so that movement towards the camera is seen too.
"""

from __future__ import annotations

import base64
import colorsys
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from motionqa.assistant.overlay import MIDDLE, draw_skeleton
from motionqa.assistant.skeleton_strip import BACKGROUND
from motionqa.data.mocap.sources import TERMS
from motionqa.data.schema import Array, ClipEncoding
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.virtual_camera import View, to_camera
from motionqa.encoders.concepts.book import (
    AROUND,
    EXCERPT,
    EXCERPT_S,
    Concept,
    ConceptBook,
    Neighbour,
    TypicalMoment,
    decoded,
)
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.of_clip import facing_deg

PANEL = (96, 140)
"""Width and height of a strip's moment, pixels."""
MIDDLE_BACKGROUND = (44, 54, 82)
TURN_DEG, TILT_DEG = 30.0, 12.0
HERE = Path(__file__).parent

Link = Callable[[int], str]
"""A code to the attributes of the link that shows its concept."""


@dataclass(frozen=True)
class Strip:
    """A picture of seven moments, as a `data:` address."""

    image: str
    caption: str
    alt: str


# --------------------------------------------------------------------------------------------- strips


def draw_strip(joints: Float[Array, "M 17 3"], times_s: Sequence[float], signed: bool = True) -> UInt8[Array, "H W 3"]:
    """The figure at each moment side by side with its time below, the middle one on a lighter ground. RGB.

    Joints about the pelvis in camera axes. All moments share one scale. `signed` times are about the middle one.
    """
    import cv2

    width, height = PANEL
    turn, tilt = np.deg2rad(TURN_DEG), np.deg2rad(TILT_DEG)
    x, y, z = np.moveaxis(np.asarray(joints, float) * (1, -1, -1), -1, 0)
    across, depth = x * np.cos(turn) - z * np.sin(turn), x * np.sin(turn) + z * np.cos(turn)
    flat = np.stack([across, depth * np.sin(tilt) - y * np.cos(tilt)], axis=-1)
    low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
    foot = 18
    scale = float(np.min(((width - 12), (height - foot - 12)) / np.maximum(high - low, 0.5)))
    placed = (flat - (low + high) / 2) * scale + (width / 2, (height - foot) / 2)
    panels = []
    for k, points in enumerate(placed):
        panel = np.full((height, width, 3), MIDDLE_BACKGROUND if k == len(joints) // 2 else BACKGROUND, np.uint8)
        head = np.array([points[H36M_17.index(j)] for j in ("thorax", "nose", "head_top")]).round().astype(np.int32)
        cv2.polylines(panel, [head], False, MIDDLE, 2, cv2.LINE_AA)
        draw_skeleton(panel, points, np.ones(len(points)), H36M_17)
        label = f"{times_s[k]:+.1f} s" if signed and abs(times_s[k]) > 0.05 else f"{abs(times_s[k]):.1f} s"
        cv2.putText(panel, label, (4, height - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (230, 230, 230), 1, cv2.LINE_AA)
        panels.append(panel)
    return np.concatenate(panels, axis=1)


def strips(book: ConceptBook, model: HuMoCon, code: int) -> list[Strip]:
    """What the concept looks like: as the decoder draws it, then moments of training clips that may be shown."""
    concept = book.concepts[code]
    span = (2 * AROUND + 1) * TOKEN_FRAMES / model.config.fps
    drawn = draw_strip(decoded(model, book.neighbourhood(code)), np.linspace(-span / 2, span / 2, EXCERPT).tolist())
    words = "The model's own drawing: decoded from this concept and those that most often come before and after it"
    out = [Strip(_data_uri(drawn), f"{words}.", f"{concept.title}. {_alt(span)}, decoded by the model.")]
    times = np.linspace(-EXCERPT_S / 2, EXCERPT_S / 2, EXCERPT).tolist()
    for moment in (m for m in concept.typical if m.excerpt is not None):
        picture = draw_strip(book.excerpts[moment.excerpt].astype(float), times)
        caption = f"A typical moment: {moment_text(moment)}. From {TERMS.get(moment.source, moment.source)}."
        out.append(Strip(_data_uri(picture), caption, f"{concept.title}. {_alt(EXCERPT_S)}: {moment.words}."))
    return out


def _data_uri(picture: UInt8[Array, "H W 3"]) -> str:
    """The picture as a `data:` address; every eighth level of each colour is kept, which halves the file."""
    import cv2

    done, data = cv2.imencode(".png", picture[..., ::-1] & 0xF8, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def _alt(seconds: float) -> str:
    return f"A skeleton at {EXCERPT} moments over {seconds:.1f} seconds"


def moment_text(moment: TypicalMoment) -> str:
    """A training clip's moment in words."""
    mirrored = ", mirrored" if moment.mirrored else ""
    return f"{moment.words} at {moment.at_s:.1f} s of {Path(moment.clip).name}{mirrored}"


def moment_strip(encoding: ClipEncoding, start_s: float, end_s: float) -> Strip:
    """A moment of a clip: as its camera sees it, or from where the person faces at first in a motion file."""
    pose = encoding.pose3d
    xyz, confidence = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    xyz = np.nan_to_num(xyz)
    rows = [int(np.abs(pose.times_s - t).argmin()) for t in np.linspace(start_s, end_s, EXCERPT)]
    if pose.camera:
        joints = xyz[rows] * (1, -1, -1)
    else:
        joints = to_camera(xyz[rows], View(facing_deg(xyz, confidence, pose.fps)))
    picture = draw_strip(joints - joints[:, :1], pose.times_s[rows].tolist(), signed=False)
    words = f"{start_s:.1f}–{end_s:.1f} s of {encoding.name}"
    return Strip(_data_uri(picture), words, f"A skeleton at {EXCERPT} moments, {words}")


# ---------------------------------------------------------------------------------------------- card


def card_html(book: ConceptBook, model: HuMoCon, code: int, link: Link) -> str:
    """The concept in HTML: its strips, words with how often and how specially, neighbours, typical training clips."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    page = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    concept = book.concepts[code]
    return page.get_template("concept_card.html").render(
        concept=concept,
        use=use_text(book, concept),
        colour=colour(concept),
        strips=strips(book, model, code),
        before=_linked(book, concept.before, link),
        after=_linked(book, concept.after, link),
        typical=[(TERMS.get(m.source, m.source).split(",")[0], moment_text(m)) for m in concept.typical],
    )


def use_text(book: ConceptBook, concept: Concept) -> str:
    """How often the concept is used, in words."""
    if not concept.clips:
        return "It occurs in no training clip."
    return (
        f"{concept.share:.2%} of all moments, in {concept.clips} training clips; an even share would be "
        f"{1 / len(book):.2%}."
    )


def _linked(book: ConceptBook, neighbours: Sequence[Neighbour], link: Link) -> list[tuple[str, str, str, float]]:
    """(link's attributes, title, colour, share) of each."""
    found = [(n, book.concepts[n.code]) for n in neighbours]
    return [(link(n.code), c.title, colour(c), n.share) for n, c in found]


def colour(concept: Concept) -> str:
    """Its colour, as CSS: hue by its direction on the map, paler near the middle. Concepts near by look alike."""
    x, y = concept.place
    hue = float(np.arctan2(y, x) / (2 * np.pi)) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.5, 0.25 + 0.6 * min(1.0, float(np.hypot(x, y)) ** 0.5))
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


# ----------------------------------------------------------------------------------------------- map


def map_figure(book: ConceptBook, marked: Sequence[int] = ()) -> go.Figure:
    """Every used concept on two axes, its size by use; `marked` ones have a ring. The code is each point's custom
    data."""
    shown = book.used[::-1] if len(book.used) else ()
    ringed = set(marked)
    figure = go.Figure(
        go.Scatter(
            x=[c.place[0] for c in shown], y=[c.place[1] for c in shown], mode="markers",
            customdata=[c.code for c in shown], text=[html.escape(f"{c.title} ({c.share:.2%})") for c in shown],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": [colour(c) for c in shown], "opacity": [1.0 if not ringed or c.code in ringed else 0.45
                                                                  for c in shown],
                "size": [5 + 14 * min(1.0, (c.share * len(book) / 5)) ** 0.5 for c in shown],
                "line": {"color": "#888", "width": [2.5 if c.code in ringed else 0 for c in shown]},
            },
        )
    )  # fmt: skip
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False}
    figure.update_layout(
        xaxis=bare, yaxis=bare | {"scaleanchor": "x"}, height=420, margin={"l": 4, "r": 4, "t": 4, "b": 4},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(128,128,128,0.08)", hoverlabel={"align": "left"},
        dragmode="pan",
    )  # fmt: skip
    return figure


def map_note(book: ConceptBook) -> str:
    """What the map shows, in words."""
    return (
        f"{len(book.used)} concepts on the two principal axes of their vectors, which keep {book.map_share:.0%} of the "
        "variance: neighbours on the map are not always alike. Larger points are used more often."
    )
