"""The project's shape: what is installed, what the README says of it, what its commands are."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("assistant", "cli", "data", "encoders", "eval", "finetune", "tests")


def python_files() -> set[str]:
    return {str(p.relative_to(ROOT)) for room in ROOMS for p in (ROOT / room).rglob("*.py")}


def test_every_package_on_disk_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    on_disk = {"motionqa." + str(Path(f).parent).replace("/", ".") for f in python_files()}
    assert set(settings["packages"]) == on_disk


def test_the_readme_names_every_module_and_no_other() -> None:
    tree = (ROOT / "README.md").read_text().split("<!-- tree -->")[1]
    folder, named = "", set()
    for line in tree.splitlines():
        word = line.strip().split(" ")[0]
        if re.fullmatch(r"[\w/]+/", word):
            folder = word
        elif word.endswith(".py"):
            named.add(folder + word if line.startswith(" ") else word)
    expected = {f for f in python_files() if not f.endswith("__init__.py") and not f.startswith("tests/")}
    assert named == expected | {"app.py"}


def test_importing_a_room_loads_no_model_library() -> None:
    code = (
        "import sys; import motionqa.data.schema, motionqa.encoders.clip_encoder, motionqa.assistant.session;"
        "print([m for m in ('torch', 'transformers', 'mediapipe', 'gradio', 'decord') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_readme_commands_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^make ([\w-]+)", text, re.MULTILINE))
    assert {"app", "test"} <= targets
    assert all(re.search(rf"^{t}:", makefile, re.MULTILINE) for t in targets)
    commands = set(re.findall(r"^motionqa (\w+)", text, re.MULTILINE))
    known = subprocess.run(
        [sys.executable, "-m", "motionqa.cli.main", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert {"ask", "describe", "info"} <= commands
    assert all(re.search(rf"\b{c}\b", known) for c in commands)
