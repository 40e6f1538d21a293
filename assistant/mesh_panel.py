"""The body mesh as a figure that can be turned and played.

What is shown is lighter than what was computed: fewer moments, neighbouring vertices merged, whole millimetres. The
merging follows the mesh's edges, so that a hand on a hip stays a hand.
"""

from __future__ import annotations

import html
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from motionqa.assistant.panels import FOLLOW
from motionqa.encoders.body.mesh import BodyMeshSequence

Array = np.ndarray
MAX_FRAMES = 60
MAX_NUMBERS = 1_400_000
"""Coordinates in all frames together: at two bytes and base64, 3.7 MB of JSON."""
CELL_M = 0.012
FOLLOW_FROM_M = 2.0
"""Somebody who travels further than this is kept in the middle."""
SKIN = "rgb(196, 168, 148)"
LIGHT = {"ambient": 0.3, "diffuse": 0.8, "specular": 0.1, "roughness": 0.8, "fresnel": 0.1}
LIGHT_AT = {"x": -90_000, "y": -20_000, "z": 50_000}


def mesh_figure(mesh: BodyMeshSequence, max_frames: int = MAX_FRAMES) -> go.Figure:
    """A plotly figure of the body with a time slider and a play button: x right, y away, z up, in millimetres."""
    owner, faces = _merged(mesh.vertices_m[0], mesh.faces, CELL_M)
    vertices = int(owner.max()) + 1
    count = max(1, min(len(mesh), max_frames, MAX_NUMBERS // (3 * vertices)))
    keep = np.unique(np.linspace(0, len(mesh) - 1, count).astype(int))
    points = _shown_axes(mesh.vertices_m[keep])
    millimetres = np.round(1000 * _means(points, owner)).astype(np.int16)
    names = [f"{t:.2f}" for t in mesh.times_s[keep]]
    body = go.Mesh3d(
        **_coordinates(millimetres[0]), i=faces[:, 0], j=faces[:, 1], k=faces[:, 2],
        color=SKIN, lighting=LIGHT, lightposition=LIGHT_AT, hoverinfo="skip",
    )  # fmt: skip
    frames = [go.Frame(data=[go.Mesh3d(**_coordinates(p))], name=n) for p, n in zip(millimetres, names, strict=True)]
    figure = go.Figure(data=[body], frames=frames)
    figure.update_layout(
        scene=_scene(millimetres), margin={"l": 0, "r": 0, "t": 0, "b": 0}, height=380,
        paper_bgcolor="rgba(0,0,0,0)", **_player(names, mesh.times_s[keep]),
    )  # fmt: skip
    return figure


def mesh_player(mesh: BodyMeshSequence, plotly_js_url: str) -> str:
    """HTML of the figure in a frame of its own: gradio's plots do not play."""
    figure = mesh_figure(mesh)
    page = figure.to_html(
        include_plotlyjs=plotly_js_url, config={"displayModeBar": False}, div_id="figure", auto_play=False
    )
    names = json.dumps([frame["name"] for frame in figure.frames])
    page = page.replace("</body>", f"<script>{FOLLOW % names}</script></body>")
    return f'<iframe class="space-player" title="Body mesh" srcdoc="{html.escape(page, quote=True)}"></iframe>'


def _merged(
    vertices: Float[Array, "V 3"], faces: Int[Array, "F 3"], cell_m: float
) -> tuple[Int[Array, "V"], Int[Array, "G 3"]]:
    """For each vertex the merged one it belongs to, and the triangles that are left.

    Vertices merge where edges join them within one cell of a grid.
    """
    cell = np.floor(vertices / cell_m).astype(np.int64)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[(cell[edges[:, 0]] == cell[edges[:, 1]]).all(axis=1)]
    size = len(vertices)
    joined = coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(size, size))
    owner = connected_components(joined, directed=False)[1].astype(np.int64)
    left = owner[faces]
    whole = (left[:, 0] != left[:, 1]) & (left[:, 1] != left[:, 2]) & (left[:, 2] != left[:, 0])
    left = left[whole]
    _, first = np.unique(np.sort(left, axis=1), axis=0, return_index=True)
    return owner, left[np.sort(first)]


def _means(points: Float[Array, "T V 3"], owner: Int[Array, "V"]) -> Float[Array, "T W 3"]:
    """Each merged vertex in the middle of those it stands for."""
    size = int(owner.max()) + 1
    share = coo_array((1 / np.bincount(owner)[owner], (owner, np.arange(len(owner)))), shape=(size, len(owner))).tocsr()
    return np.stack([share @ frame for frame in points])


def _shown_axes(vertices_m: Float[Array, "T V 3"]) -> Float[Array, "T V 3"]:
    """Plotly's axes (x right, y away, z up), about the middle of the floor; about the person who walks far."""
    middle = vertices_m.mean(axis=1)
    travel = np.ptp(middle[:, [0, 2]], axis=0).max()
    centre = middle if travel > FOLLOW_FROM_M else np.broadcast_to(middle.mean(axis=0), middle.shape)
    x, z = (vertices_m[..., i] - centre[:, None, i] for i in (0, 2))
    return np.stack([x, -z, vertices_m[..., 1] - vertices_m[..., 1].min()], axis=-1).astype(np.float64)


def _coordinates(points: Int[Array, "W 3"]) -> dict[str, Array]:
    return {name: np.ascontiguousarray(points[:, i]) for i, name in enumerate("xyz")}


def _scene(points: Int[Array, "T W 3"]) -> dict[str, Any]:
    low, high = points.min(axis=(0, 1)) - 50, points.max(axis=(0, 1)) + 50
    plain = {"showticklabels": False, "title": "", "zeroline": False, "gridcolor": "rgba(128,128,128,0.35)"}
    axes = {
        f"{name}axis": plain
        | {"range": [int(low[i]), int(high[i])], "showbackground": name == "z"}
        | {"backgroundcolor": "rgba(128,128,128,0.15)"}
        for i, name in enumerate("xyz")
    }
    # By its longest side: a standing body would else be stretched over the picture's edges.
    size = 1.3 * (high - low) / float((high - low).max())
    ratio = dict(zip("xyz", size.tolist(), strict=True))
    camera = {"eye": {"x": 0.5, "y": -1.5, "z": 0.3}, "center": {"x": 0, "y": 0, "z": -0.08}}
    return axes | {"aspectmode": "manual", "aspectratio": ratio, "camera": camera}


def _player(names: list[str], times_s: Float[Array, "K"]) -> dict[str, Any]:
    """Play and pause buttons and the slider over time."""
    step_ms = 1000 * float(np.median(np.diff(times_s))) if len(times_s) > 1 else 100.0
    play = {"frame": {"duration": step_ms, "redraw": True}, "transition": {"duration": 0}, "fromcurrent": True}
    halt = {"frame": {"duration": 0, "redraw": True}, "mode": "immediate", "transition": {"duration": 0}}
    buttons = [
        {"label": "▶", "method": "animate", "args": [None, play]},
        {"label": "❚❚", "method": "animate", "args": [[None], halt]},
    ]
    steps = [{"label": name, "method": "animate", "args": [[name], halt]} for name in names]
    slider = {
        "x": 0.2, "len": 0.78, "y": 0.08, "currentvalue": {"suffix": " s", "font": {"color": "#888"}},
        "ticklen": 0, "minorticklen": 0, "font": {"color": "rgba(0,0,0,0)"}, "steps": steps,
    }  # fmt: skip
    menu = {"type": "buttons", "direction": "left", "x": 0, "y": 0, "buttons": buttons}
    return {"updatemenus": [menu], "sliders": [slider]}
