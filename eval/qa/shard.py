"""Which part of a benchmark one process answers: every n-th clip, so that no clip is encoded by two."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from motionqa.data.schema import InputError
from motionqa.eval.qa.question import Question


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, counted from 0."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise InputError(
                f"There is no shard {self.index} of {self.count}: shards are written i/n with i from 0 to n - 1, "
                "for example 0/2 and 1/2."
            )

    @staticmethod
    def parse(text: str) -> Shard:
        """The shard of "i/n". InputError where it is not of that form."""
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if not found:
            raise InputError(f"The shard is {text!r}, expected i/n, for example 0/2 and 1/2.")
        return Shard(int(found[1]), int(found[2]))

    @staticmethod
    def of_this_process(environment: Mapping[str, str] = os.environ) -> Shard:
        """The shard that `torchrun` or `accelerate launch` gave this process; the whole where neither runs it.

        InputError where only one of RANK and WORLD_SIZE is set.
        """
        rank, size = environment.get("RANK"), environment.get("WORLD_SIZE")
        if rank is None and size is None:
            return Shard()
        if rank is None or size is None:
            raise InputError(f"RANK is {rank} and WORLD_SIZE is {size}: set both or neither, as torchrun does.")
        return Shard.parse(f"{rank}/{size}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, questions: tuple[Question, ...]) -> tuple[tuple[Question, ...], ...]:
        """This shard's questions, one group a clip, clips in order of their first question."""
        groups: dict[str, list[Question]] = {}
        for question in questions:
            groups.setdefault(question.clip, []).append(question)
        return tuple(tuple(group) for group in list(groups.values())[self.index :: self.count])
