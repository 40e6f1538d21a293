"""Form faults from landmarks: how well the rule files' thresholds, and a small head, tell frames apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.eval.benchmark import Row
from motionqa.eval.form_tables import FormTable, check_of, frame_values, landmarks, read_form_table
from motionqa.eval.small_head import confusion, fit_predict, leave_groups_out, macro_f1

Array = np.ndarray

FEATURES: dict[str, tuple[str, ...]] = {
    "biceps_curl": ("trunk_lean_forward", "shoulder_flexion", "elbow_flexion", "neck_flexion"),
    "lunge": ("knee_over_toe", "knee_flexion", "shank_lean", "trunk_lean_forward", "hip_flexion"),
    "plank": ("body_line", "trunk_upright", "shoulder_elevation", "hip_flexion", "knee_flexion"),
    "squat": ("knee_flexion", "hip_drop", "stance_width", "knee_width"),
}
"""What the small head sees of each frame, beside each one's middle over the stretch of video."""


RULES: dict[str, str] = dict.fromkeys(("lunge", "plank"), "rules alone, one threshold set on this table")
"""As first written, before that threshold was set, the rules reached .423 on lunge and .773 on plank."""


def form_rows(folder: Path, command: str) -> Iterator[Row]:
    """Macro-F1 per frame: the rule files' thresholds alone, and a small head that never saw the stretch of video."""
    tables = {
        "biceps_curl": ("bicep_model/test.csv", ("C", "L")),
        "lunge": ("lunge_model/err.test.csv", ("C", "L")),
        "plank": ("plank_model/test.csv", ("C", "H", "L")),
        "squat": ("squat_model/test.csv", ("up", "down")),
    }
    for exercise, (file, labels) in tables.items():
        table = read_form_table(folder / file, labels)
        values = frame_values(table, FEATURES[exercise], lead=exercise == "lunge")
        said = by_rule(exercise, values)
        rules = round(macro_f1(table.truth, said, len(labels)), 3)
        if exercise == "squat":
            train = read_form_table(folder / "squat_model/train.csv", labels)
            head = fit_predict(_features(train, exercise), train.truth, _features(table, exercise), 2)
            how = "head: trained on squat_model/train.csv, tested on test.csv; up and down are stages, no faults"
        else:
            groups = stretches(table)
            head = leave_groups_out(_features(table, exercise), table.truth, groups, len(labels))
            how = f"head: leave-one-stretch-out over {len(set(groups))} contiguous stretches of the test table, as "
            how += "there is no training table; stretches may show one person, so the figure is optimistic"
        value = round(macro_f1(table.truth, head, len(labels)), 3)
        grid = confusion(table.truth, head, len(labels)).tolist()
        split = f"{file}, {len(table.truth)} frames; {how}; head's confusion {'/'.join(labels)} {grid}"
        beside = {RULES.get(exercise, "rules alone"): rules}
        yield Row(f"form_f1_{exercise}", value, "macro-F1", None, beside, ">= 0.90", split, command)


def by_rule(exercise: str, values: Array) -> Array:
    """Class of each frame by the rule file's own thresholds and tolerances; nothing is fitted."""
    rules = load_rules().exercises[exercise]
    column = {name: values[:, i] for i, name in enumerate(FEATURES[exercise])}

    def fails(check_id: str, quantity: str) -> Array:
        check = check_of(rules, check_id)
        missed = np.array([check.missed_by(v) if np.isfinite(v) else 0.0 for v in column[quantity]])
        return missed > check.tolerance

    if exercise == "plank":
        return np.where(fails("pike", "body_line"), 1, np.where(fails("sag", "body_line"), 2, 0))
    if exercise == "squat":
        depth = check_of(rules, "depth").at_least
        assert depth is not None
        return np.asarray(np.nan_to_num(column["knee_flexion"]) > depth / 2, dtype=int)
    check_id, quantity = {
        "biceps_curl": ("lean_back", "trunk_lean_forward"),
        "lunge": ("knee_over_toe", "knee_over_toe"),
    }[exercise]
    return np.asarray(fails(check_id, quantity), dtype=int)


def _features(table: FormTable, exercise: str) -> Array:
    values = frame_values(table, FEATURES[exercise], lead=exercise == "lunge")
    return np.concatenate([values, values**2 / 100, landmarks(table)], axis=1)


def stretches(table: FormTable, at_least: int = 40) -> list[int]:
    """The table's stretches of video, short ones joined to the one before, so that no fold is a handful of frames."""
    out, now, size = [], 0, 0
    for i, block in enumerate(table.block):
        if i and block != table.block[i - 1] and size >= at_least:
            now, size = now + 1, 0
        out.append(now)
        size += 1
    return out
