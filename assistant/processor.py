"""A conversation about a clip as what the language model takes in: the one renderer of training and chat.

Each turn is rendered and tokenised by itself. So the system turn, which holds the clip, is the same tokens before
every question: training shares it between questions, and the chat computes it once. Only the assistant's words and
the end of its turn carry a loss. What people typed is tokenised apart from the template, with its markers spelt out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from jaxtyping import Bool, Float, Int
from transformers import AutoProcessor, AutoTokenizer

from motionqa.assistant.config import PLACEHOLDERS, MotionQAConfig, check_sources
from motionqa.assistant.llm import EMBEDDED_NAME, embedded_directory
from motionqa.assistant.streaming import as_text, markers
from motionqa.data.reading import MODALITIES, ClipTokens
from motionqa.data.schema import Conversation, InputError, Turn

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Array = np.ndarray
TEMPLATE, CONFIG = "chat_template.jinja", "processor_config.json"
_GAP = "\x00"
"""Stands for a turn's words while the template is taken apart."""
_PLAIN_MARKS = ("USER:", "ASSISTANT:")


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids, and which of them carry a loss."""

    ids: tuple[int, ...] = ()
    loss: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.loss):
            raise ValueError(f"{len(self.ids)} tokens came with {len(self.loss)} marks of loss; expected as many")

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.ids + other.ids, self.loss + other.loss)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """One conversation as the model takes it."""

    input_ids: Int[Array, "L"]
    loss_mask: Bool[Array, "L"]
    """True at tokens that are to be predicted while training."""
    features: Mapping[str, Float[Array, "N D"]]
    """By modality, as many rows as the prompt has placeholders."""
    prefix: int
    """Tokens of the system turn: the same ones whatever is asked about the clip."""
    dropped_turns: int = 0
    """Earlier turns left out because they did not fit."""
    notes: tuple[str, ...] = ()
    """What was left out or averaged, in words."""

    def tensors(self, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
        """The model's keyword arguments for this one conversation."""
        import torch

        ids = torch.from_numpy(self.input_ids)[None].to(device)
        rows = {m: torch.from_numpy(np.asarray(x, np.float32)).to(device) for m, x in self.features.items()}
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **rows}


class MotionQAProcessor:
    """Conversations to `ModelInputs` for one base model's tokenizer."""

    def __init__(self, config: MotionQAConfig, tokenizer: PreTrainedTokenizerBase, template: str | None = None) -> None:
        """ValueError for a template that ends the assistant's turn with anything but the end-of-sequence token."""
        self.config, self.tokenizer = config, tokenizer
        self.template = template or (Path(__file__).parent / TEMPLATE).read_text()
        self.marks = (*markers(tokenizer), *PLACEHOLDERS.values(), *_PLAIN_MARKS)
        self._prefixes_words = (tokenizer.tokenize("a") or [""])[0].startswith("▁")
        self._tokenized = lru_cache(4096)(self._tokenize)
        self._pieces = {role: self._turn_pieces(role) for role in ("system", "user", "assistant")}
        self._start = self._start_ids()
        end = self._tokenized(self._pieces["assistant"][1])
        if tokenizer.eos_token_id not in end:
            raise ValueError(f"the template does not end the assistant's turn with {tokenizer.eos_token!r}")
        self._end = end.index(tokenizer.eos_token_id) + 1
        asked = [{"role": "user", "content": _GAP}]
        prompt = self._rendered(asked, add_generation_prompt=True).removeprefix(self._rendered(asked))
        if prompt.rstrip(" ") != self._pieces["assistant"][0]:
            raise ValueError("the template's generation prompt is not how it begins the assistant's turn")

    # ------------------------------------------------------------------------------------- conversations

    def __call__(self, conversation: Conversation, *, reply: bool = True, max_tokens: int | None = None) -> ModelInputs:
        """The inputs of a conversation; with `reply` they end where the assistant begins to speak.

        Where they are longer than `max_tokens`, the oldest exchanges are left out, never the system turn and never the
        last question. InputError where even that does not fit, or features come from another encoder.
        """
        turns = list(conversation.turns)
        system = turns.pop(0) if turns and turns[0].role == "system" else None
        opening, features, notes = self.opening(system.text if system else "", conversation.clip)
        parts = [self.turn(t) for t in turns]
        prompt = self.reply_prompt() if reply else Tokens()
        dropped = 0
        while max_tokens is not None and len(opening) + sum(map(len, parts)) + len(prompt) > max_tokens:
            gone = _first_exchange(turns)
            if gone >= len(turns):
                raise InputError(
                    f"The question and the clip's description need {len(opening) + sum(map(len, parts)) + len(prompt)} "
                    f"tokens, and there is room for {max_tokens}. Ask a shorter question, or about a shorter clip."
                )
            turns, parts, dropped = turns[gone:], parts[gone:], dropped + gone
        whole = sum([*parts, prompt], opening)
        return ModelInputs(
            np.array(whole.ids, dtype=np.int64),
            np.array(whole.loss, dtype=bool),
            features,
            len(opening),
            dropped,
            notes,
        )

    def opening(
        self, system: str, clip: ClipTokens | None = None
    ) -> tuple[Tokens, dict[str, Float[Array, "N D"]], tuple[str, ...]]:
        """The system turn with the clip's placeholders before its words, their features, and what was left out."""
        features, notes = self._features(clip)
        if not system.strip() and not features:
            return Tokens(self._start, (False,) * len(self._start)), features, notes
        head, tail = (self._tokenized(piece) for piece in self._pieces["system"])
        line_end = self._tokenized("\n")
        ids = [*self._start, *head]
        for modality, rows in features.items():
            ids += [cast("dict[str, int]", self.config.placeholder_ids)[modality]] * len(rows)
            ids += line_end
        ids += [*self._words("system", system), *tail]
        return Tokens(tuple(ids), (False,) * len(ids)), features, notes

    def turn(self, turn: Turn) -> Tokens:
        """One later turn; the assistant's words and the end of its turn carry the loss."""
        head, tail = (self._tokenized(piece) for piece in self._pieces[turn.role])
        words = self._words(turn.role, turn.text)
        learned = len(words) + self._end if turn.role == "assistant" else 0
        ids = (*head, *words, *tail)
        return Tokens(ids, tuple(len(head) <= k < len(head) + learned for k in range(len(ids))))

    def exchange(self, question: str, answer: str) -> Tokens:
        """A question and its answer."""
        return self.turn(Turn("user", question)) + self.turn(Turn("assistant", answer))

    def reply_prompt(self) -> Tokens:
        """What stands before the assistant's words."""
        ids = self._tokenized(self._pieces["assistant"][0])
        return Tokens(ids, (False,) * len(ids))

    def answer_ids(self, answer: str) -> tuple[int, ...]:
        """An answer with the end of its turn, as it stands after the reply prompt."""
        return (*self._words("assistant", answer), *self._tokenized(self._pieces["assistant"][1])[: self._end])

    def word_ids(self, words: str) -> tuple[int, ...]:
        """Words as they stand in running text, after a space."""
        return self._tokenized(f" {words.strip()}")

    # -------------------------------------------------------------------------------------------- parts

    def _features(self, clip: ClipTokens | None) -> tuple[dict[str, Float[Array, "N D"]], tuple[str, ...]]:
        features: dict[str, Array] = {}
        notes: list[str] = []
        for modality in MODALITIES if clip is not None else ():
            rows = clip.of(modality) if clip is not None else None
            if rows is None or clip is None:
                continue
            if modality not in self.config.modalities:
                notes.append(f"{modality} tokens were left out: this model was not trained on them")
                continue
            check_sources(self.config, {modality: clip.sources.get(modality, "an encoder that is not named")})
            most = cast("dict[str, int]", self.config.max_rows)[modality]
            if len(rows) > most:
                notes.append(f"{len(rows)} {modality} tokens were averaged down to {most}")
            features[modality] = fewer_rows(rows, most)
        return features, tuple(notes)

    def _words(self, role: Literal["system", "user", "assistant"], text: str) -> tuple[int, ...]:
        said = as_text(text.strip(), self.marks)
        return self._tokenized(f" {said}" if said and self._pieces[role][0].endswith(":") else said)

    def _tokenize(self, text: str) -> tuple[int, ...]:
        """Ids of a piece of text. A tokenizer that begins every text with a space is not given a second one."""
        if self._prefixes_words:
            text = text.removeprefix(" ")
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids) if text else ()

    def _turn_pieces(self, role: str) -> tuple[str, str]:
        """What the template puts before and after a turn's words; a space before them belongs to the words."""
        before, after = self._rendered([{"role": role, "content": _GAP}]).split(_GAP)
        return before.rstrip(" "), after

    def _rendered(self, messages: list[dict[str, str]], **settings: Any) -> str:
        return str(
            self.tokenizer.apply_chat_template(messages, chat_template=self.template, tokenize=False, **settings)
        )

    def _start_ids(self) -> tuple[int, ...]:
        """What the tokenizer puts before every text, such as Llama's `<s>`."""
        text, plain = list(self.tokenizer("a").input_ids), list(self.tokenizer("a", add_special_tokens=False).input_ids)
        return tuple(text[: text.index(plain[0])])

    # ------------------------------------------------------------------------------------------- on disk

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes `processor_config.json` and `chat_template.jinja`; the tokenizer is the base model's."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        about = {
            "processor_class": type(self).__name__,
            "placeholders": PLACEHOLDERS,
            "tokenizer": self.config.base_name,
        }
        (folder / CONFIG).write_text(json.dumps(about, indent=2) + "\n")
        (folder / TEMPLATE).write_text(self.template)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, tokenizer: PreTrainedTokenizerBase | None = None, **_: Any
    ) -> MotionQAProcessor:
        """The processor of an assistant's directory; the tokenizer is looked for under the base model's name."""
        folder = Path(folder)
        try:
            config, template = MotionQAConfig.from_pretrained(folder), (folder / TEMPLATE).read_text()
        except OSError as error:
            raise InputError(f"{folder} has no whole processor ({error}). Copy the whole directory.") from error
        if tokenizer is None:
            name = config.base_name
            tokenizer = AutoTokenizer.from_pretrained(embedded_directory() if name == EMBEDDED_NAME else name)
        return cls(config, cast("PreTrainedTokenizerBase", tokenizer), template)


def fewer_rows(rows: Float[Array, "N D"], most: int) -> Float[Array, "M D"]:
    """At most so many rows: neighbours are averaged in groups of nearly equal size (ours: order and time stay)."""
    if len(rows) <= most:
        return rows
    starts = np.linspace(0, len(rows), most + 1).astype(int)
    sums = np.add.reduceat(rows.astype(np.float32), starts[:-1], axis=0)
    return (sums / np.diff(starts)[:, None]).astype(rows.dtype)


def _first_exchange(turns: list[Turn]) -> int:
    """Turns from the oldest to before the next question."""
    return next((k for k, turn in enumerate(turns) if k and turn.role == "user"), len(turns))


AutoProcessor.register(MotionQAConfig, MotionQAProcessor, exist_ok=True)
