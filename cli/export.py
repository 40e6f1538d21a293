"""`motionqa export`: the assistant's language half for transformers and llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro


def export(
    out: tyro.conf.Positional[Path],
    /,
    llm: Path | None = None,
    gguf: Literal["f16", "q8_0", "none"] = "f16",
    base_gguf: Path | None = None,
    clip: Path | None = None,
    question: str = "How many squats does the person do?",
) -> int:
    """Writes the assistant as a plain language model that answers from words: for transformers, and for llama.cpp.

    Args:
        out: folder to write into
        llm: an assistant's directory instead of the released one
        gguf: how llama.cpp's file keeps its matrices; none writes no such file
        base_gguf: the base model's own GGUF file, for its vocabulary; the embedded model's is known
        clip: video or motion file that the card shows the exact prompt of; a generated body by default
        question: what the card asks about it
    """
    from motionqa.assistant.export import export_assistant

    kind = None if gguf == "none" else gguf
    folder = export_assistant(out, llm, gguf=kind, like=base_gguf, clip=clip, question=question)
    for path in sorted(folder.iterdir()):
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")
    return 0
