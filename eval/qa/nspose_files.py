"""Questions in NSPose's form (Endo et al., ICML 2023): BABEL-QA and HuMMan-QA share it.

A split is a list of `[question id, question, program, motion id, answer]`. The program is a chain such as
`[0]=scene([0])`, `[1]=filter_action([0], sit)`, `[2]=relate([1], before)`, `?=query_action([2])`: its query says the
type, its relations whether the answer lies before, after or between. One vocabulary of answers per type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError
from motionqa.eval.qa.official_files import check_unique, load_dictionary, load_json, some
from motionqa.eval.qa.question import Question

ATTRIBUTES: tuple[str, ...] = ("action", "direction", "body_part")
SPLITS: tuple[str, ...] = ("train", "val", "test")

_STEP = re.compile(r"^(?:\[\d+\]|\?)=(\w+)\((.*)\)$")
_INPUTS = re.compile(r"^(?:\[[\d, ]*\]|motion_seq)$")


@dataclass(frozen=True)
class Step:
    """One function of a program with its concept: `filter_action` and `sit`, `relate` and `before`."""

    function: str
    concept: str


def read_program(lines: Sequence[str]) -> tuple[Step, ...]:
    """The steps of a program. ValueError for a line of another form."""
    steps = []
    for line in lines:
        found = _STEP.match(line)
        if found is None:
            raise ValueError(f"program line {line!r} is not of the form [k]=function([inputs], concept)")
        inputs, _, concept = found.group(2).rpartition("], ")
        alone = _INPUTS.match(found.group(2)) is not None
        steps.append(Step(found.group(1), "" if alone or not inputs else concept))
    return tuple(steps)


def type_and_relation(program: Sequence[Step]) -> tuple[str, str]:
    """What is asked for (action, direction, body part) and before, after, in-between or none."""
    query = program[-1].function if program else ""
    attribute = query.removeprefix("query_")
    if not query.startswith("query_") or attribute not in ATTRIBUTES:
        raise ValueError(f"the program ends in {query!r}, expected query_action, query_direction or query_body_part")
    relations = {s.concept for s in program if s.function == "relate"}
    if not relations <= {"before", "after"}:
        raise ValueError(f"relations are {sorted(relations)}, expected before and after")
    relation = "in-between" if len(relations) == 2 else next(iter(relations), "none")
    return attribute.replace("_", " "), relation


def read_vocabularies(folder: Path, prefix: str) -> dict[str, tuple[str, ...]]:
    """The possible answers of each type in the official order, by type."""
    found = {}
    for attribute in ATTRIBUTES:
        path = folder / f"{prefix}_{attribute}_answer_vocab.json"
        words = load_dictionary(path)
        if sorted(words.values(), key=str) != sorted(range(len(words)), key=str):
            raise InputError(
                f"{path} should number its {len(words)} answers from 0 without gaps; use the official file"
            )
        found[attribute.replace("_", " ")] = tuple(sorted(words, key=words.__getitem__))
    return found


def read_split(
    path: Path, vocabularies: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[Question, ...], dict[str, tuple[Step, ...]]]:
    """The questions of one split and each one's program by id.

    InputError for entries of another form, ids that occur twice, and answers that the vocabulary does not have.
    """
    data = load_json(path)
    if not isinstance(data, list):
        raise InputError(f"{path} holds a {type(data).__name__}, expected a list of questions")
    questions, programs, strange = [], {}, []
    for position, entry in enumerate(data):
        question_id, text, lines, clip, answer = _entry(entry, position, path)
        try:
            program = read_program(lines)
            kind, relation = type_and_relation(program)
        except ValueError as error:
            raise InputError(f"{path}, question {question_id}: {error}; use the official file") from error
        if answer not in vocabularies[kind]:
            strange.append(f"{question_id}: {answer}")
        programs[question_id] = program
        questions.append(Question(question_id, clip, text, answer, kind, relation, vocabularies[kind]))
    check_unique([q.id for q in questions], path)
    if strange:
        raise InputError(
            f"{path}: {some(strange, 'answer', 'answers')} not in the vocabulary of the queried attribute. "
            "Questions and vocabularies must be of one release"
        )
    return tuple(questions), programs


def _entry(entry: Any, position: int, path: Path) -> tuple[str, str, list[str], str, str]:
    right = (
        isinstance(entry, list)
        and len(entry) == 5
        and all(isinstance(entry[i], str) for i in (0, 1, 4))
        and isinstance(entry[3], str | int)
        and isinstance(entry[2], list)
        and all(isinstance(line, str) for line in entry[2])
    )
    if not right:
        raise InputError(
            f"{path}, entry {position}: expected [question id, question, program, motion id, answer], "
            f"found {str(entry)[:80]}"
        )
    question_id, text, lines, clip, answer = entry
    return question_id, text, lines, str(clip), answer


def check_split_ids(questions: Sequence[Question], split: str, path: Path) -> None:
    """InputError where a split file and the official list of its ids (`split_question_ids.json`) differ."""
    listed = load_dictionary(path).get(split)
    if not isinstance(listed, list):
        raise InputError(f"{path} has no list of {split} ids")
    ids, official = {q.id for q in questions}, {str(i) for i in listed}
    missing, unknown = sorted(official - ids), sorted(ids - official)
    if missing:
        raise InputError(
            f"{split}: {some(missing, 'question', 'questions')} in {path.name} but not in the split's file"
        )
    if unknown:
        raise InputError(
            f"{split}: {some(unknown, 'question', 'questions')} in the split's file but not in {path.name}"
        )
