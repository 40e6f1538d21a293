"""A tiny assistant sharded by FSDP2 over processes, for `torchrun`: `tiny_sharded_run ROWS OUT`.

Accelerate shards on GPUs only, so this shards as it does, on processors: layer by layer, then what is left.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

from motionqa.assistant.model_dir import save_assistant
from motionqa.finetune.instruct_batches import InstructTraining, Mixture
from motionqa.finetune.instruct_rows import InstructRows
from motionqa.tests.assistant_models import tiny_assistant


def main(rows: str, out: str) -> None:
    """Six steps of half the batch on each of two processes, with gradient checkpointing."""
    dist.init_process_group("gloo")
    mesh = dist.device_mesh.init_device_mesh("cpu", (dist.get_world_size(),))
    assistant = tiny_assistant()
    model = assistant.model
    model.gradient_checkpointing_enable({"use_reentrant": False})
    for layer in model.base.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    stage = InstructTraining(InstructRows(Path(rows)), assistant.processor, Mixture(2, 2), 0, packed=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(6):
        model.train()
        loss = stage.losses(model, stage.batch(2 * step + dist.get_rank()), step)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    save_assistant(Path(out), model, assistant.processor, write=dist.get_rank() == 0)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
