"""The client's words are the server's: types, errors and methods, held against the service itself."""

import ast
import inspect
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from yuyin_client import AsyncClient, Client, answers, calls, options
from yuyin_client.errors import RequestRefused, ServerFault, Unavailable, error_of

from service.errors import STATUS
from service.schemas import feedback, health, jobs, recommendation, rights, snapshots, tracks, uploads
from service.schemas import options as asked

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "client" / "yuyin_client"
MODULES = (recommendation, tracks, rights, jobs, snapshots, health, uploads)
ANSWERED = [
    (name, kind)
    for name, kind in vars(answers).items()
    if inspect.isclass(kind) and kind.__module__ == answers.__name__
]
LATER = {  # what is nothing to a caller: of a job, how workers share it
    "Job": {"asked", "attempt", "worker", "lease_until", "cancelling", "owner"},
    "Ready": {"devices", "inside", "places"},  # an operator's
}
ASKED = {
    options.Range: asked.Range,
    options.Licence: rights.AskedLicence,
    options.Filters: asked.AskedFilters,
    options.Options: asked.Options,
    options.Event: feedback.FeedbackEvent,
    options.TrackChanges: rights.TrackPatch,
}


@pytest.mark.parametrize(("name", "kind"), ANSWERED, ids=[name for name, _ in ANSWERED])
def test_answers_have_the_fields_that_the_server_sends(name: str, kind: Any) -> None:
    (model,) = {getattr(module, name) for module in MODULES if hasattr(module, name)}
    assert set(get_type_hints(kind)) <= set(model.model_fields)
    assert set(model.model_fields) - set(get_type_hints(kind)) <= LATER.get(name, set())


@pytest.mark.parametrize("kind", ASKED, ids=lambda kind: kind.__name__)
def test_questions_have_the_fields_that_the_server_takes(kind: Any) -> None:
    assert set(get_type_hints(kind)) == set(ASKED[kind].model_fields)


def test_events_have_the_values_that_the_server_takes() -> None:
    said = get_type_hints(options.Event)["event"]
    assert set(get_args(said)) == set(get_args(feedback.Said))


@pytest.mark.parametrize("code", STATUS)
def test_every_code_of_the_server_has_its_kind(code: str) -> None:
    status, title = STATUS[code]
    error = error_of(status, {"code": code, "detail": title}, None)
    assert (error.code, error.detail, error.status) == (code, title, status)
    kinds = {500: ServerFault, 503: Unavailable, 429: Unavailable, 415: RequestRefused, 400: RequestRefused}
    if status in kinds and "media" not in code and "stream" not in code:
        assert isinstance(error, kinds[status])


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = {n: f for n, f in vars(kind).items() if not n.startswith("_") and callable(f)}
        return {
            name: [one for one in inspect.signature(function).parameters if one != "self"]
            for name, function in found.items()
        }

    blocking, awaited = methods(Client), methods(AsyncClient)
    blocking["aclose"] = blocking.pop("close")
    assert blocking == awaited
    made = {n for n, f in vars(calls).items() if inspect.isfunction(f) and not n.startswith("_")}
    made -= {"quote", "parsedate_to_datetime", "field", "dataclass", "form", "raw", "of_json", "cast"}
    made = {name for name in made if getattr(calls, name).__module__ == calls.__name__}
    assert made <= set(blocking)


def test_it_needs_httpx_and_nothing_of_ours() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.split(".")[0]
                assert top in {"httpx", "yuyin_client"} or top in sys.stdlib_module_names, (path.name, name)


def test_it_is_short_and_says_what_it_is() -> None:
    for path in PACKAGE.glob("*.py"):
        text = path.read_text("utf-8")
        assert ast.get_docstring(ast.parse(text)), path.name
        assert len(text.splitlines()) <= 300, path.name


USAGE = """
from yuyin_client import Client, AsyncClient
client = Client("http://127.0.0.1:8000")
found = client.recommend("cut.mp4", top_k=3, filters={"bpm": {"min": 90}})
reveal_type(found["results"][0]["segments"][0]["start_s"])
client.recommend("cut.mp4", topk=3)
client.feedback({"request_id": "r", "track_id": "t", "event": "loved"})
async def run(client: AsyncClient) -> None:
    reveal_type(await client.tracks(limit=3))
"""


@pytest.mark.slow
def test_types_are_strict_and_callers_have_them(tmp_path: Path) -> None:
    (tmp_path / "usage.py").write_text(USAGE)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    environment = {"MYPYPATH": str(ROOT / "client"), "PATH": "/usr/bin"}

    def mypy(*arguments: str) -> str:
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        ).stdout

    assert "Success" in mypy("-p", "yuyin_client")
    said = mypy("usage.py")
    assert 'Revealed type is "float"' in said or 'Revealed type is "builtins.float"' in said
    assert "'peaks_url': str" in said  # of a track of the page
    assert 'Unexpected keyword argument "topk"' in said
    assert 'expected "Event | Sequence[Event]"' in said
    assert "Found 2 errors" in said


@pytest.mark.slow
def test_the_wheel_works_alone(tmp_path: Path) -> None:
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "build", "--wheel", "-o", str(tmp_path), str(ROOT / "client")], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"yuyin_client/__init__.py", "yuyin_client/py.typed"} <= set(names)
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"yuyin_client"}
    assert any(name.endswith("LICENSE") for name in names)
    environment = tmp_path / "venv"
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [*uv, "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*install, "--python", str(python), str(wheel)], check=True)
    code = "import yuyin_client; print(yuyin_client.Client('http://127.0.0.1:8000'))"
    done = subprocess.run(
        [str(python), "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "Client('http://127.0.0.1:8000')"
