"""What flow is trained on: films by the groups of their people, none of the held-out ones, puppets as batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionqa.data.kept_films import group_of, held_out
from motionqa.data.schema import InputError
from motionqa.data.synthetic.puppet_sampler import PuppetConfig
from motionqa.finetune.flow_pairs import read_groups, stacked
from motionqa.finetune.pretrain_flow import FlowTrainConfig, FlowTraining
from motionqa.tests.known_flow import SIZE, known_pair, write_film
from motionqa.tests.mocap_clips import write_actions

HELD_OUT, TRAINED_ON = (next(g for g in map(str, range(99)) if held_out(g) == t) for t in (True, False))


def test_groups_of_videos_are_read_by_their_names(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label,group\nright/one.mp4,right,a\nwrong/two.mp4,wrong,b\n")
    assert read_groups(table) == {"one": "a", "two": "b"}
    table.write_text("video,session\none.mp4,a\n")
    with pytest.raises(InputError, match="columns file and group, it has video, session"):
        read_groups(table)


def test_training_leaves_held_out_films_alone(tmp_path: Path) -> None:
    write_actions(tmp_path / "utd_mhad.npz")
    films = tmp_path / "films"
    write_film(films / "a-0.npz", HELD_OUT)
    trained = write_film(films / "b-0.npz", TRAINED_ON)
    config = FlowTrainConfig(
        (tmp_path / "utd_mhad.npz",), tmp_path / "out", films=films, puppets=PuppetConfig((64, 64))
    )
    stage = FlowTraining(config)
    assert group_of(trained) == TRAINED_ON
    assert stage.films is not None
    assert [f.group for f in stage.films.films] == [TRAINED_ON]
    drawn, filmed = stage.batch(1), stage.batch(config.loop.steps - config.loop.steps % 2)
    assert drawn.flow is not None
    assert filmed.flow is None
    assert drawn.first.shape == filmed.first.shape == (config.batch, 3, 64, 64)


def test_pairs_become_batches_with_room_for_people_and_flow_where_all_know_it() -> None:
    pair = known_pair()
    batch = stacked([pair, pair], people=3)
    assert batch.first.shape == (2, 3, *SIZE)
    assert batch.people.masks.shape == (2, 3, *SIZE)
    assert batch.people.confidence[:, 1:].sum() == 0
    assert np.allclose(batch.trend[0, 0].numpy(), pair.trend[0])
    assert batch.flow is not None
    assert float(batch.first.max()) <= 1
