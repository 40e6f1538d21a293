"""The thread that computes."""

from __future__ import annotations

import os
import threading

import pytest

from motionqa.encoders import device
from motionqa.encoders.device import begin, computed


@pytest.fixture(autouse=True)
def on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(device, "best_device", lambda: ("cpu", torch.float32))


@computed
def where() -> int:
    return threading.get_ident()


def test_whoever_asks_one_thread_computes() -> None:
    found = [where()]
    asking = [threading.Thread(target=lambda: found.append(where())) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert found[0] != threading.get_ident()


def test_what_computes_may_call_what_is_computed() -> None:
    outer = computed(lambda: (threading.get_ident(), where()))
    mine, inner = outer()
    assert mine == inner


def test_something_begun_while_computing_does_not_wait_for_itself() -> None:
    assert computed(lambda: begin(lambda: "done").result(timeout=10))() == "done"


def test_errors_and_arguments_pass_through() -> None:
    @computed
    def divided(a: float, *, by: float) -> float:
        return a / by

    assert divided(6, by=3) == 2
    with pytest.raises(ZeroDivisionError):
        divided(6, by=0)


def test_nothing_is_moved_where_an_accelerator_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(device, "best_device", lambda: ("cuda", torch.bfloat16))
    assert where() == threading.get_ident()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_copy_of_the_process_computes_too() -> None:
    where()
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, str(where() != 0).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.read() == "True"
    os.wait()
