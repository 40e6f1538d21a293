"""`motionqa app`: the chat page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal


def app(
    host: str = "127.0.0.1",
    port: int = 7860,
    llm: str | None = None,
    llm_model: str | None = None,
    precision: Literal["auto", "int8"] = "auto",
    lifter: str = "dstformer",
    mcp: bool = False,
    cache: bool = True,
    concept_index: Path | None = None,
) -> int:
    """Serves the chat page until interrupted.

    Args:
        host: address to listen on; 0.0.0.0 lets other machines in
        port: port to listen on
        llm: directory, hub id or OpenAI-compatible server's URL instead of the released assistant
        llm_model: which of the server's models
        precision: int8 keeps the language model's matrices in 8 bits (needs the extra `int8` and g++); docs/scale.md
            says when that pays
        lifter: what puts a video's joints into space: dstformer, blazepose, a folder of weights, or an official
            MotionBERT checkpoint
        cache: keep encodings (joints and outline, no picture) for the next visit
        concept_index: a folder that `motionqa concepts index` wrote, to look for like moments in
        mcp: also offer the `ask` tool to MCP clients
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from motionqa.assistant.released import lifting
    from motionqa.assistant.session import load_engine
    from motionqa.assistant.ui import launch
    from motionqa.data.schema import InputError
    from motionqa.encoders.clip_encoder import EncoderConfig

    print("Loading the language model (the first start unpacks it, about 20 s) …", flush=True)
    try:
        encoder = EncoderConfig(lifting=lifting(lifter))
        engine = load_engine(llm, llm_model=llm_model, encoder=encoder, use_cache=cache, precision=precision)
    except InputError as error:
        print(f"motionqa: {error}", file=sys.stderr)
        return 2
    print(f"motionqa with {engine.llm.name}: http://{host}:{port}", flush=True)
    launch(engine, host, port, mcp=mcp, concept_index=concept_index)
    return 0
