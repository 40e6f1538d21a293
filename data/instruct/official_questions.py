"""Questions with answers from official layouts: BABEL-QA, ActivityNet-QA, Video-ChatGPT's instructions and MoVid.

They are for training and for showing; the official scoring is in `motionqa.eval.qa`.
"""

from __future__ import annotations

import re
from pathlib import Path

from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.official import OfficialSet, Reader, load_json, text_of
from motionqa.data.schema import InputError

KIND = {"query_action": "action", "query_body_part": "body_part", "query_direction": "direction"}
ACTIVITYNET_KINDS = ("motion", "spatial", "temporal", "true_false", "colour", "object", "location", "number", "other")
"""By the file's `type`, 0 to 8 (Yu et al., AAAI 2019, table 2)."""


def babel_qa(path: Path) -> OfficialSet:
    """BABEL-QA's questions: entries of id, question, program, BABEL motion, answer.

    The kind is what the program asks for, the relation what leads there: before, after, between or none.
    """
    reader = Reader("BABEL-QA")
    for i, entry in enumerate(load_json(path, list)):
        where = f"{path.name}, entry {i}"
        if not (isinstance(entry, list) and len(entry) == 5):
            raise InputError(f"{where} is not [id, question, program, motion, answer]")
        _, question, program, motion, answer = entry
        if not (isinstance(program, list) and all(isinstance(t, str) for t in (question, motion, answer, *program))):
            raise InputError(f"{where}: question, steps of the program, motion and answer must be texts")
        kind = next((k for query, k in KIND.items() if program and query in program[-1]), None)
        if kind is None:
            raise InputError(f"{where}: its program asks for none of {', '.join(KIND)}: {program[-1:]}")
        steps = " ".join(program)
        relations = [r for r in ("before", "after") if re.search(rf"relate\(\[\d+\], {r}\)", steps)]
        relation = "between" if len(relations) == 2 else relations[0] if relations else ""
        reader.add(_plain(motion, question, answer, kind, relation))
    return reader.done(path)


def _plain(clip: str, question: str, answer: str, kind: str, relation: str = "") -> InstructExample:
    """An example of a benchmark, whose sentence is its answer."""
    question, answer = question.strip(), answer.strip()
    sentence = answer[:1].upper() + answer[1:]
    sentence = sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
    return InstructExample(clip, question, answer, sentence, kind, "benchmark", relation)


def activitynet_qa(questions: Path, answers: Path, *, as_written: bool = False) -> OfficialSet:
    """ActivityNet-QA's `*_q.json` with its `*_a.json`, joined by `question_id`.

    Questions get a capital and their question mark, unless they are wanted as the benchmark asks them (`as_written`).
    Questions without an answer are counted. InputError for an answer given twice or of an unknown type.
    """
    reader = Reader("ActivityNet-QA")
    known: dict[str, tuple[str, str]] = {}
    for i, entry in enumerate(load_json(answers, list)):
        where = f"{answers.name}, entry {i}"
        name, answer = text_of(entry, "question_id", where), text_of(entry, "answer", where)
        number = entry.get("type")
        if name in known or number not in range(len(ACTIVITYNET_KINDS)):
            what = f"answers {name} again" if name in known else f"has type {number!r}, expected 0 to 8"
            raise InputError(f"{where} {what}")
        known[name] = answer, ACTIVITYNET_KINDS[number]
    for i, entry in enumerate(load_json(questions, list)):
        where = f"{questions.name}, entry {i}"
        name, question = text_of(entry, "question_id", where), text_of(entry, "question", where)
        video = text_of(entry, "video_name", where)
        answer, kind = known.get(name, ("", ""))
        if not (answer and question):
            reader.skip("no answer" if name not in known else "empty text")
            continue
        asked = question if as_written else f"{question[:1].upper()}{question[1:].removesuffix('?')}?"
        reader.add(_plain(video, asked, answer, kind))
    return reader.done(questions)


def video_chatgpt(path: Path) -> OfficialSet:
    """Video-ChatGPT's instructions: a list of `q`, `a` and `video_id` (Maaz et al., ACL 2024)."""
    reader = Reader("Video-ChatGPT")
    for i, entry in enumerate(load_json(path, list)):
        where = f"{path.name}, entry {i}"
        question, answer, video = (text_of(entry, k, where) for k in ("q", "a", "video_id"))
        if question and answer:
            reader.add(_plain(video, question, answer, "instruction"))
        else:
            reader.skip("empty text")
    return reader.done(path)


def movid(path: Path) -> OfficialSet:
    """MoVid's instructions in LLaVA's layout: entries with `conversations` of `from` (human, gpt) and `value`.

    The clip is the entry's `video`, else `motion`, else `id`. Placeholders such as `<video>` are taken out. Every
    question of a conversation becomes an example, in order.
    """
    reader = Reader("MoVid")
    for i, entry in enumerate(load_json(path, list)):
        where = f"{path.name}, entry {i}"
        turns = entry.get("conversations") if isinstance(entry, dict) else None
        if not isinstance(turns, list) or len(turns) % 2:
            raise InputError(f"{where} has no conversations that alternate between a question and an answer")
        clip = next((str(entry[k]) for k in ("video", "motion", "id") if entry.get(k)), None)
        if clip is None:
            raise InputError(f"{where} names no video, motion or id")
        for j in range(0, len(turns), 2):
            pair = turns[j : j + 2]
            if [t.get("from") if isinstance(t, dict) else None for t in pair] != ["human", "gpt"]:
                raise InputError(f"{where}, turn {j}: expected human and then gpt")
            texts = [text_of(t, "value", f"{where}, turn {j + n}") for n, t in enumerate(pair)]
            question, answer = (re.sub(r"<(video|motion|image)>\s*", "", t).strip() for t in texts)
            if question and answer:
                reader.add(_plain(clip, question, answer, "instruction"))
            else:
                reader.skip("empty text")
    return reader.done(path)
