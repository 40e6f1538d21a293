"""Rule files: the twelve that ship, what a coach may write, and how mistakes are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from motionqa.assistant.coaching.exercise_file import FOLDER, load_rules, read_exercise
from motionqa.assistant.coaching.quantities import QUANTITIES
from motionqa.data.schema import InputError

TWELVE = {
    "squat", "push_up", "lunge", "deadlift", "overhead_press", "biceps_curl", "sit_up", "plank", "jumping_jack",
    "pull_up", "walking", "running",
}  # fmt: skip
CALF_RAISE = """
name = "calf_raise"
title = "Calf raise"
noun = "calf raise"
plural = "calf raises"
kind = "repetitions"
film = "From the side."

[repetition]
quantity = "pelvis_rise"
least = 5

[[recognise]]
quantity = "pelvis_rise"
statistic = "range"
range = [3, 6, 20, 30]

[[check]]
id = "height"
title = "Height"
quantity = "pelvis_rise"
phase = "turn"
statistic = "max"
at_least = 8
tolerance = 2
severity = "minor"
part = "ankles"
reading = "the hips rise by {value}"
fault = "the raise is low"
good = "the raise is high"
cause = "tired calves"
why = "the calves work little"
cue = "Grow."
drill = "Raise on a step."
coordination = "Both ankles should stretch together."
source = "our choice"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_all_twelve_exercises_are_there_and_without_fault() -> None:
    rules = load_rules()
    assert rules.problems == ()
    assert set(rules.exercises) == TWELVE


def test_every_check_says_its_cause_cue_drill_and_source() -> None:
    for exercise in load_rules().exercises.values():
        assert len(exercise.checks) >= 3
        for check in exercise.checks:
            assert len(check.source) > 5
            assert check.cue.endswith(".") or check.cue.endswith("!")
            assert not re.search(r"\d", check.cause + check.why + check.coordination)


def test_the_page_about_the_format_lists_every_quantity_and_no_other() -> None:
    page = (FOLDER / "FORMAT.md").read_text().split("## Quantities")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(QUANTITIES)


def test_a_coach_adds_an_exercise_without_code(tmp_path: Path) -> None:
    written(tmp_path, CALF_RAISE)
    rules = load_rules(tmp_path)
    assert set(rules.exercises) == TWELVE | {"calf_raise"}
    assert rules.find("Calf raises").checks[0].at_least == 8


@pytest.mark.parametrize(
    ("change", "field", "line"),
    [
        (('statistic = "max"\nat_least', 'statistic = "most"\nat_least'), "check.statistic", 23),
        (('quantity = "pelvis_rise"\nphase', 'quantity = "knee_angle"\nphase'), "check.quantity", 21),
        (("tolerance = 2", 'tolerance = "2"'), "check.tolerance", 25),
        (("at_least = 8\n", ""), "check.at_least", 18),
        (("range = [3, 6, 20, 30]", "range = [6, 3, 20, 30]"), "recognise.range", 16),
        (('kind = "repetitions"', 'kind = "repetitions"\nactions = "walk"'), "actions", 7),
        (("least = 5", "leest = 5"), "repetition.leest", 11),
        (('reading = "the hips rise by {value}"', 'reading = "the hips rise"'), "check.reading", 28),
        (('cause = "tired calves"', 'cause = "3 sets too many"'), "check.cause", 31),
        (('kind = "repetitions"', 'kind = "reps"'), "kind", 6),
    ],
)
def test_a_mistake_is_named_with_file_line_and_field(
    tmp_path: Path, change: tuple[str, str], field: str, line: int
) -> None:
    assert change[0] in CALF_RAISE
    with pytest.raises(InputError) as error:
        read_exercise(written(tmp_path, CALF_RAISE.replace(*change)))
    assert str(error.value).startswith(f"mine.toml, line {line}, {field}:")


def test_a_file_that_is_not_toml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine\.toml, line 20, title: not valid TOML"):
        read_exercise(written(tmp_path, CALF_RAISE.replace('title = "Height"', 'title = "Height')))


def test_a_broken_file_leaves_the_other_exercises_working(tmp_path: Path) -> None:
    written(tmp_path, CALF_RAISE.replace("tolerance = 2", ""))
    rules = load_rules(tmp_path)
    assert set(rules.exercises) == TWELVE
    assert "tolerance: is missing" in rules.problems[0]


def test_an_unknown_exercise_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'juggling'.*known are.*squat"):
        load_rules().find("juggling")
