"""Captions of held-out clips beside references: BLEU, ROUGE-L and similarity, and a retrieval baseline beside them.

    python -m motionqa.eval.motion_captions --data DATA --mocap MOCAP_FOLDER

References are the captions that `motionqa.data.instruct.captions` gives for a clip: natural ones where the source has
them (CMU's index), ours in several wordings elsewhere. The baseline takes a caption of the training clip whose reader
tokens are most alike. BLEU by sacrebleu, ROUGE-L by rouge-score, similarity by MiniLM.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.session import ChatSession, load_engine
from motionqa.data.instruct.known import known_motion
from motionqa.data.mocap.packed import load_collections
from motionqa.encoders.reader.read import Reader, read_pose
from motionqa.eval.benchmark import Row, publish, published

Array = np.ndarray
QUESTION = "Describe the movement in one sentence."
COMMAND = "python -m motionqa.eval.motion_captions --data DATA --mocap MOCAP_FOLDER"


@dataclass(frozen=True)
class CaptionConfig:
    """Which clips are captioned, and what the baseline retrieves from."""

    data: Path
    """The benchmark's folder."""
    mocap: tuple[Path, ...]
    llm: str | None = None
    most: int = 200


def scores(said: Sequence[str], references: Sequence[Sequence[str]], embedder: SentenceEmbedder) -> dict[str, float]:
    """BLEU-4 (0 to 100), ROUGE-L (F, 0 to 1) and cosine similarity, each with the best of a clip's references."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU

    longest = max(map(len, references))
    streams = [[r[min(k, len(r) - 1)].lower() for r in references] for k in range(longest)]
    bleu = BLEU(lowercase=True).corpus_score([s.lower() for s in said], streams).score
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    rouge = np.mean(
        [max(scorer.score(r, s)["rougeL"].fmeasure for r in rs) for s, rs in zip(said, references, strict=True)]
    )
    close = np.mean([(embedder(list(rs)) @ embedder([s])[0]).max() for s, rs in zip(said, references, strict=True)])
    return {"BLEU": float(bleu), "ROUGE-L": float(rouge), "similarity": float(close)}


def mean_tokens(reader: Reader, poses: Sequence[object]) -> Float[Array, "N D"]:
    """One unit vector a clip: its reader tokens' mean."""
    rows = []
    for pose in poses:
        tokens = read_pose(pose, reader).tokens.motion  # type: ignore[arg-type]
        assert tokens is not None
        rows.append(tokens.mean(axis=0))
    found = np.stack(rows)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def main(config: CaptionConfig) -> None:
    """Prints three rows beside the retrieval baseline and adds them to `docs/benchmarks/motion_qa.json`."""
    engine, embedder = load_engine(config.llm), SentenceEmbedder()
    reader = engine.encoder.reader
    assert reader is not None
    entries = json.loads((config.data / "motion_qa_test.json").read_text())
    wanted = {e["clip"]: [e["answer"], *e["accepted"]] for e in entries if e["kind"] == "caption"}
    clips = [c for c in load_collections(config.mocap) if c.split == "train" and c.metric]
    known = [m for m in (known_motion(c) for c in clips[::3]) if m.captions]
    bank = mean_tokens(reader, [m.pose for m in known])
    said, retrieved, references = [], [], []
    for clip in list(wanted)[: config.most]:
        session = ChatSession(engine)
        encoding = session.set_clip(config.data / "clips" / f"{clip}.npz")
        *_, answer = session.ask(QUESTION)
        said.append(answer.text)
        nearest = int((bank @ mean_tokens(reader, [encoding.pose3d])[0]).argmax())
        retrieved.append(known[nearest].captions[0])
        references.append(wanted[clip])
    ours, theirs = scores(said, references, embedder), scores(retrieved, references, embedder)
    rows = published("motion_qa")
    for name, value in ours.items():
        split = f"{len(said)} held-out clips with captions"
        beside = {"retrieval": round(theirs[name], 4)}
        rows[f"captions {name}"] = Row(
            f"captions {name}", round(value, 4), "", None, beside, "> retrieval", split, COMMAND
        )
    publish("motion_qa", list(rows.values()))
    for text, truth in list(zip(said, references, strict=True))[:12]:
        print(f"  {text}  |  {truth[0]}")


if __name__ == "__main__":
    main(tyro.cli(CaptionConfig))
