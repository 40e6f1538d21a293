"""What ships: weights, the choice of lifter, flow network and concepts by name, and the encoder that uses them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from motionqa.assistant.coaching.in_clip import exercise_in
from motionqa.data.cache import EncodingCache, content_sha256
from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig, LiftingConfig
from motionqa.encoders.concepts.book import BOOK, ConceptWeights
from motionqa.encoders.flow.network import FlowWeights
from motionqa.encoders.reader.read import Reader, load_reader

WEIGHTS = Path(__file__).parent / "weights"
LIFTERS = ("dstformer", "blazepose")
DEFAULT_LIFTER = "dstformer"
DEFAULT_FLOW = "flow"
DEFAULT_CONCEPTS = "concepts"


def lifting(name: str = DEFAULT_LIFTER) -> LiftingConfig:
    """The lifter of a name: `dstformer` (released), `blazepose` (its own depth), a folder of weights, or an official
    MotionBERT pose checkpoint.

    InputError where there is no such folder or file.
    """
    if name == "blazepose":
        return LiftingConfig()
    weights = WEIGHTS / "dstformer" if name == "dstformer" else Path(name)
    if weights.is_file():
        return LiftingConfig(weights, content_sha256(weights)[:16])
    config = weights / "config.json"
    if not config.exists():
        raise InputError(
            f"There is no lifter {name!r}: expected {' or '.join(LIFTERS)}, a folder with config.json and "
            "model.safetensors as written by pretraining, or an official MotionBERT checkpoint such as "
            "latest_epoch.bin."
        )
    return LiftingConfig(weights, _version(config))


def flow(name: str = DEFAULT_FLOW) -> FlowWeights:
    """The flow network of a name: `flow` (released), or a folder of weights.

    InputError where there is no such folder.
    """
    weights = WEIGHTS / "flow" if name == DEFAULT_FLOW else Path(name)
    config = weights / "config.json"
    if not config.exists():
        what = "No flow weights are released yet" if name == DEFAULT_FLOW else f"There is no flow network {name!r}"
        raise InputError(
            f"{what}: expected a folder with config.json and model.safetensors as written by "
            "motionqa.finetune.pretrain_flow. Train one and give its folder."
        )
    return FlowWeights(weights, _version(config))


def concepts(name: str = DEFAULT_CONCEPTS) -> ConceptWeights:
    """The motion concepts of a name: `concepts` (released), or a folder of weights with its book.

    InputError where there is no such folder.
    """
    weights, below = WEIGHTS / "concepts" if name == DEFAULT_CONCEPTS else Path(name), WEIGHTS / "dstformer"
    config = weights / "config.json"
    if not config.exists() or not (weights / BOOK).exists():
        what = "No concepts are released yet" if name == DEFAULT_CONCEPTS else f"There are no concepts {name!r}"
        raise InputError(
            f"{what}: expected a folder with config.json, model.safetensors and {BOOK} as written by "
            "motionqa.finetune.pretrain_concepts and motionqa.finetune.concept_book. Train them and give the folder."
        )
    book = content_sha256(weights / BOOK)[:16]
    return ConceptWeights(weights, below, f"{_version(config)} {book} {_version(below / 'config.json')}")


@cache
def reader() -> Reader | None:
    """The released reader of actions, loaded once; None where none is released yet."""
    folder = WEIGHTS / "reader"
    return load_reader(folder) if (folder / "config.json").exists() else None


def clip_encoder(config: EncoderConfig | None = None, cache: EncodingCache | None = None) -> ClipEncoder:
    """What encodes clips for answers: with the released lifter, the reader of actions and the evident exercises."""
    return ClipEncoder(config or EncoderConfig(lifting=lifting()), cache, reader(), exercise_in)


def _version(config: Path) -> str:
    return json.loads(config.read_text())["weights_sha256"][:16]
