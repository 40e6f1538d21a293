"""Questions that share a prefix train as if each stood alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import DynamicCache, MistralConfig

from motionqa.assistant.model_dir import Assistant
from motionqa.assistant.processor import Tokens
from motionqa.assistant.shared_cache import continued, keeps_everything
from motionqa.finetune.packing import PackedRow, collate, pack, visible, without_padding
from motionqa.finetune.shared_prefix import shared_prefix
from motionqa.tests.assistant_models import clip_tokens, tiny_assistant

QUESTIONS = (("Which hand waves?", "Left."), ("How often?", "Three times, slowly."), ("Then?", "The walker sits down."))


@pytest.fixture(scope="module")
def tiny() -> Assistant:
    return tiny_assistant()


def packed(assistant: Assistant, row_tokens: int = 400, seed: int = 0, rows: int = 5) -> list[PackedRow]:
    opening, features, _ = assistant.processor.opening("Seen: wave.", clip_tokens(rows, seed))
    return pack(opening, features, [assistant.processor.exchange(q, a) for q, a in QUESTIONS], row_tokens)


def gradients(assistant: Assistant) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in assistant.model.named_parameters() if p.grad is not None}
    assistant.model.zero_grad()
    return found


def test_a_packed_row_has_the_loss_and_gradients_of_its_examples_one_by_one(tiny: Assistant) -> None:
    rows = [*packed(tiny, seed=1, rows=9), *packed(tiny)]
    batch = collate(rows)
    assert batch.examples == 6
    together = tiny.model(**batch.arguments()).loss
    together.backward()
    packed_gradients = gradients(tiny)
    losses = []
    for row in rows:
        for block in (1, 2, 3):
            one = without_padding(row, block)
            ids = torch.from_numpy(one.ids)[None]
            features = {m: torch.from_numpy(x.astype(np.float32)) for m, x in one.features.items()}
            labels = torch.where(torch.from_numpy(one.weights)[None] > 0, ids, -100)
            loss = tiny.model(input_ids=ids, **features, labels=labels).loss  # no mask, no positions: as in the chat
            (loss / 6).backward()
            losses.append(loss.detach())
    assert torch.allclose(together, torch.stack(losses).mean(), atol=1e-5, rtol=1e-5)
    alone = gradients(tiny)
    assert set(alone) == set(packed_gradients)
    for name, gradient in alone.items():
        assert torch.allclose(packed_gradients[name], gradient, atol=1e-5, rtol=1e-3), name
    assert max(float(g.abs().max()) for g in alone.values()) > 1e-3


def test_blocks_do_not_see_each_other_and_their_positions_go_on_where_the_prefix_ends(tiny: Assistant) -> None:
    row = packed(tiny)[0]
    start = int((row.blocks == 0).sum())
    for block in (1, 2, 3):
        assert row.positions[row.blocks == block][0] == start
    mask = visible(torch.from_numpy(row.blocks)[None])[0, 0]
    for query in range(len(row)):
        seen = np.flatnonzero(mask[query].numpy())
        assert seen.max() == query
        assert set(row.blocks[seen]) <= {0, row.blocks[query]}
        assert (row.blocks[: query + 1] == 0).sum() == (row.blocks[seen] == 0).sum()


def test_padding_sees_itself_and_is_seen_by_nothing() -> None:
    mask = visible(torch.tensor([[0, 1, -1, -1]]))[0, 0]
    assert mask.any(dim=1).all()
    assert mask[2].tolist() == [True, True, True, False] or mask[2].tolist() == [True, False, True, False]
    assert not mask[:2, 2:].any()


def test_padded_rows_have_no_nan_and_the_loss_of_unpadded_ones(tiny: Assistant) -> None:
    long, short = packed(tiny, rows=12)[0], packed(tiny, rows=2)[0]
    padded = collate([long, short])
    assert padded.input_ids.shape[1] == len(long)
    assert padded.tokens == len(long) + len(short)
    with torch.no_grad():
        both = tiny.model(**padded.arguments()).loss
        each = [tiny.model(**collate([row]).arguments()).loss for row in (long, short)]
    assert torch.isfinite(both)
    assert torch.allclose(both, torch.stack(each).mean(), atol=1e-5)


def test_blocks_that_do_not_fit_go_behind_the_same_prefix_again(tiny: Assistant) -> None:
    whole = packed(tiny)[0]
    several = packed(tiny, row_tokens=len(whole) - 1)
    assert len(several) == 2
    assert sum(r.examples for r in several) == 3
    for row in several:
        assert list(row.ids[row.blocks == 0]) == list(whole.ids[whole.blocks == 0])
    assert len(packed(tiny, row_tokens=1)) == 3  # a block alone may be longer


def test_a_shared_prefix_has_the_loss_and_gradients_of_packed_rows(tiny: Assistant) -> None:
    opening, features, _ = tiny.processor.opening("Seen: wave.", clip_tokens(9, 1))
    blocks = [tiny.processor.exchange(q, a) for q, a in QUESTIONS]
    shared = shared_prefix(opening, features, blocks)
    loss = shared.loss(tiny.model, torch.device("cpu"))
    loss.backward()
    here = gradients(tiny)
    batch = collate(pack(opening, features, blocks, 400))
    packed_loss = batch.loss(tiny.model, torch.device("cpu"))
    packed_loss.backward()
    assert (shared.examples, shared.tokens) == (batch.examples, batch.tokens) == (3, len(packed(tiny, rows=9)[0]))
    assert torch.allclose(loss, packed_loss, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients(tiny).items():
        assert torch.allclose(here[name], gradient, atol=1e-5, rtol=1e-3), name
    assert any("projector" in n and float(g.abs().max()) > 1e-6 for n, g in here.items())


def test_only_caches_that_keep_everything_serve_several_rows(tiny: Assistant) -> None:
    assert keeps_everything(tiny.model.base.config)
    sliding = MistralConfig(num_hidden_layers=2, sliding_window=8)
    assert not keeps_everything(sliding)
    with pytest.raises(ValueError, match=r"keep everything can serve 3 rows.*DynamicSlidingWindowLayer"):
        continued(DynamicCache(config=sliding), 3)
    assert len(continued(DynamicCache(config=sliding)).layers) == 2


def test_blocks_of_one_length_go_side_by_side_with_little_padding(tiny: Assistant) -> None:
    opening, features, _ = tiny.processor.opening("Seen: wave.")
    long = ("How often? " * 12, "Three times. " * 12)
    blocks = [tiny.processor.exchange(q, a) for q, a in (*QUESTIONS, long, QUESTIONS[0], long)]
    shared = shared_prefix(opening, features, blocks, examples=12)
    lengths = [part.attention_mask.sum(1) - len(opening) for part in shared.blocks]
    assert sorted(int(n) for group in lengths for n in group) == sorted(map(len, blocks))
    assert all(float(n.min()) >= 0.7 * float(n.max()) for n in lengths)
    assert sum(float(part.loss_weights.sum()) for part in shared.blocks) == pytest.approx(6 / 12)


def test_only_answers_carry_labels(tiny: Assistant) -> None:
    batch = collate(packed(tiny))
    said = tiny.processor.tokenizer.decode(batch.labels[batch.labels != -100].tolist())
    assert said == "Left.<|im_end|>Three times, slowly.<|im_end|>The walker sits down.<|im_end|>"
    assert batch.loss_weights.sum() == pytest.approx(1)


def test_a_block_without_an_answer_is_refused(tiny: Assistant) -> None:
    opening, features, _ = tiny.processor.opening("Seen.")
    with pytest.raises(ValueError, match="no token to learn"):
        pack(opening, features, [Tokens((1, 2), (False, False))])
    with pytest.raises(ValueError, match="no token to learn"):
        shared_prefix(opening, features, [Tokens((1, 2), (False, False))])
