"""How the error of judged angles is taken."""

from __future__ import annotations

from motionqa.assistant.coaching.coach import assess
from motionqa.data.schema import Pose3D
from motionqa.data.synthetic.exercises import squat_set
from motionqa.data.synthetic.motions import render
from motionqa.eval.coach_angles import DrawnFilm
from motionqa.eval.coach_sets import KnownSet, encoded


def filmed(seen: Pose3D, exact: Pose3D) -> DrawnFilm:
    """As if the film had shown `seen` from the side."""
    encoding = encoded(KnownSet("squat", seen, 2, "generated"))
    film = DrawnFilm("squat", 90, exact, encoding)
    film.__dict__["film"] = assess(encoding, "squat", view="side")
    return film


def test_what_is_seen_exactly_is_judged_exactly_and_a_shallower_squat_by_what_it_lacks() -> None:
    exact, shallow = (render(squat_set((1, 1), knee_deg=deg, rest_s=0.3)) for deg in (105, 85))
    same, off = filmed(exact, exact).judged_errors(), filmed(shallow, exact).judged_errors()
    assert "squat depth" in same
    assert max(same.values()) < 0.5
    assert 10 < off["squat depth"] < 30


def test_only_what_the_exercise_judges_from_there_is_claimed() -> None:
    body = render(squat_set((1, 1), rest_s=0.3))
    film = filmed(body, body)
    claimed = set(film.claimed_errors())
    assert claimed
    assert all(name.startswith("squat ") for name in claimed)
    assert len(claimed) < len(film.errors())
