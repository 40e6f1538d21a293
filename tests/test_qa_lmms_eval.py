"""The tasks for lmms-eval users: their yaml names hooks that exist, and the hooks need nothing of the core."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

FOLDER = Path(__file__).parent.parent / "eval" / "lmms_eval"


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!function", lambda loader, node: f"!{loader.construct_scalar(node)}")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", FOLDER / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["babel_qa", "activitynet_qa"])
def test_every_hook_and_metric_that_a_task_names_is_there(hooks: ModuleType, name: str) -> None:
    task = yaml.load((FOLDER / f"{name}.yaml").read_text(), _Loader)
    assert task["task"] == f"motionqa_{name}"
    assert task["dataset_kwargs"]["data_files"]["test"] == f"{name}.jsonl"
    for field in ("doc_to_visual", "doc_to_text", "process_results"):
        module, function = task[field].removeprefix("!").split(".")
        assert module == "hooks"
        assert callable(getattr(hooks, function))
    given = hooks.process_results({"answer": "x"}, ["x"])
    assert {m["metric"] for m in task["metric_list"]} == set(given)


def test_the_folder_imports_nothing_of_the_core_and_the_core_nothing_of_it() -> None:
    tree = ast.parse((FOLDER / "hooks.py").read_text())
    names = [n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not any(n.startswith("motionqa") for n in names)
    root = FOLDER.parent.parent
    for room in ("assistant", "cli", "data", "encoders", "eval", "finetune"):
        for path in (root / room).rglob("*.py"):
            assert "import motionqa.eval.lmms_eval" not in path.read_text(), path
            assert "from motionqa.eval.lmms_eval" not in path.read_text(), path


def test_questions_carry_their_options_and_the_tasks_words(hooks: ModuleType) -> None:
    doc = {"question": "Which way?", "options": ["left", "right"], "answer": "left", "clip": "a.mp4"}
    text = hooks.doc_to_text(doc, {"pre_prompt": "Look. ", "post_prompt": " Be brief."})
    assert text == "Look. Which way?\nChoose one of: left, right. Be brief."
    assert hooks.doc_to_text({**doc, "options": []}) == "Which way?"


def test_answers_count_exactly_and_normalised(hooks: ModuleType) -> None:
    assert hooks.process_results({"answer": "3"}, ["Three."]) == {"exact": 0.0, "normalised": 1.0}
    assert hooks.process_results({"answer": "3"}, ["3"]) == {"exact": 1.0, "normalised": 1.0}
    assert hooks.process_results({"answer": "3"}, ["4"]) == {"exact": 0.0, "normalised": 0.0}


def test_a_missing_video_says_where_it_was_looked_for(
    hooks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONQA_CLIPS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"a\.mp4 is missing; set MOTIONQA_CLIPS"):
        hooks.doc_to_visual({"clip": "a.mp4"})
    (tmp_path / "a.mp4").touch()
    assert hooks.doc_to_visual({"clip": "a.mp4"}) == [str(tmp_path / "a.mp4")]
