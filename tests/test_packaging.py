"""The fences around plain top-level package names, and the arrows between them."""

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("yuyin", "service", "index_builder", "model")
SOURCES = [path for name in OURS for path in sorted((ROOT / name).rglob("*.py"))]
LONGEST_LINES = 330  # "about 300"
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}


@pytest.mark.parametrize("name", OURS)
def test_nobody_else_ships_our_package_names(name: str) -> None:
    """`model` and `service` are common words: another distribution would overwrite our files."""
    assert set(packages_distributions().get(name, ["yuyin"])) == {"yuyin"}


@pytest.mark.parametrize(
    "module", ["service.app", "index_builder.build", "index_builder.__main__", "yuyin.cli"]
)
def test_nothing_behind_http_or_in_the_builder_pulls_in_torch(module: str) -> None:
    banned = "{'torch', 'pandas', 'matplotlib', 'onnx', 'pyarrow'}"
    code = f"import {module}, sys; found = {banned} & set(sys.modules); sys.exit(str(found) if found else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_test_folder_is_a_package() -> None:
    """`tests/model/__init__.py` would make pytest import the tests as `model`."""
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_is_short_says_what_it_is_and_has_a_name(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_LINES
    assert ast.get_docstring(ast.parse(text)), "the first line says what goes in and what comes out"
    assert not VAGUE & set(path.relative_to(ROOT).with_suffix("").parts)


def test_constraints_pin_with_hashes_and_name_no_address() -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) > 30
    assert all("==" in line for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text
    assert not (ROOT / "uv.lock").exists()


def test_every_dependency_has_its_reason() -> None:
    section = ""
    for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines():
        section = line if line.startswith("[") else section
        listed = line.startswith('    "') and section in {
            "[project]",
            "[project.optional-dependencies]",
            "[dependency-groups]",
        }
        assert not listed or "# " in line, f"no reason beside {line.strip()}"
