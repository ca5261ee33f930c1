"""The commands, the settings, the errors and the routes in; cli.md, settings.md, errors.md, openapi.json out.

Run it as `python docs/generate.py` whenever a command, a setting or an error changes; tests/docs compares.
The text depends on the code alone: not on the terminal, the environment or the number of cores.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from model.errors import YuyinError
from service.app import create_app
from service.errors import STATUS
from service.settings import KeyEntry, Settings
from yuyin.cli.app import app

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py: run it again instead of editing this page. -->"

# What no class of `model.errors` stands for: answers of the HTTP layer alone.
HTTP_ONLY = {
    "bad_request": "The request is no HTTP that this route understands.",
    "method_not_allowed": "The route exists, but not with this method.",
    "range_not_satisfiable": "The asked part lies outside of the file.",
    "internal": "Something went wrong that nobody foresaw.",
}

WHAT_TO_DO = {
    "not_media": "Send a video file, such as MP4 or MOV.",
    "no_video_stream": "Send a file with a picture; for a sound file there is nothing to match.",
    "no_audio_stream": "Take a file with sound.",
    "encrypted": "Export the cut again without copy protection.",
    "cannot_decode": "Export the cut again, or convert it to H.264 in MP4; the file may be cut off.",
    "empty_body": "Check that the export has ended and that the path is right.",
    "video_too_large": "Send a smaller proxy, or let the operator raise `YUYIN_LIMITS__MAX_BYTES`.",
    "video_too_long": "Send a shorter part, or let the operator raise `YUYIN_LIMITS__MAX_DURATION_S`.",
    "video_too_costly": "Send a proxy: fewer pixels, or H.264.",
    "bad_options": "Correct the field that `detail` names.",
    "bad_pool": "Correct the folder or the catalogue as the sentence says, then build again.",
    "bad_dataset": "Correct the dataset or the pairs list as the sentence says.",
    "bad_request": "Correct the request as `detail` says.",
    "unauthenticated": "Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
    "forbidden": "Use a key that has the scope, or ask from this machine if the server has no keys.",
    "not_found": "Check the id or the address; `/docs` lists the routes.",
    "method_not_allowed": "Use the method that `/docs` lists for this route.",
    "reindex_running": "Follow the job that the answer names in `job_url`, then ask again.",
    "store_locked": "Wait until the other build ends, or stop it.",
    "corrupt": "Build again, or put the folder back from a backup; the server's log names the part.",
    "mismatch": "Build the index again with the bundle that is to be served; compute features by its recipe.",
    "range_not_satisfiable": "Ask for a part inside the file, or for all of it.",
    "overloaded": "Wait for the seconds in `Retry-After`, then send the same again.",
    "rate_limited": "Wait for the seconds in `Retry-After`; the operator may raise the key's `rate_per_s`.",
    "not_ready": "Wait for the seconds in `Retry-After`; `/readyz` says which part is missing.",
    "idempotency_running": "Wait for the seconds in `Retry-After`, then send the same again.",
    "idempotency_mismatch": "Take a new `Idempotency-Key` for every new request.",
    "uploads_full": "Delete uploads that you no longer need, or send the video with the question.",
    "not_installed": "Run `yuyin models pull paper`, or install the package that it names.",
    "no_accelerator": "Run `yuyin doctor`; or set `YUYIN_ACCELERATOR=prefer`.",
    "job_ended": "Nothing: the job says in `state` how it ended.",
    "no_sandbox": "Run `yuyin doctor`; or set `YUYIN_SANDBOX=prefer` and know what that gives up.",
    "decoder_lost": "Send the same again; if it happens with one file only, export that file again.",
    "deadline_exceeded": "Send a smaller proxy or try later; the operator may raise `YUYIN_DEADLINE_S`.",
    "draining": "Send the same again: another process answers.",
    "not_stored": "Send the same again later; the operator has to make room on the server's disk.",
    "upload_too_slow": "Send it again over a faster line, or a smaller proxy.",
    "body_too_large": "Send less at once; `detail` names the bound.",
    "internal": "Tell the operator the `request_id`: the server's log has the rest under it.",
}


def cli_page() -> str:
    """Every command with its arguments and options, depth first, in the order of `yuyin --help`."""
    root = get_command(app)
    parts = [
        "# Commands",
        NOTE,
        "Every command also explains itself with `--help`. Exit codes: 0 done, 1 finished with failures that "
        "it reports, 2 bad input, in one sentence on standard error ([errors.md](errors.md)).",
        *_commands(root, typer.Context(root, info_name="yuyin"), "yuyin"),
    ]
    return _page(parts)


def _commands(command: Any, context: typer.Context, words: str) -> Iterator[str]:
    yield f"## {words}"
    yield _prose(command.help or "")
    shown = [
        (param.param_type_name, *record) for param in command.params if (record := _record(param, context))
    ]
    arguments = [name.split(" ")[0] for kind, name, _ in shown if kind == "argument"]
    below = getattr(command, "commands", {})
    usage = [words, *(name.upper() for name in arguments), "[OPTIONS]" if len(shown) > len(arguments) else ""]
    yield "```text\n" + " ".join([*filter(None, usage), *(["COMMAND"] if below else [])]) + "\n```"
    if shown:
        yield _table(("", "meaning"), ((f"`{name}`", _prose(meaning)) for _, name, meaning in shown))
    if command.epilog:
        yield _prose(command.epilog)
    for name, child in below.items():
        yield from _commands(child, typer.Context(child, parent=context, info_name=name), f"{words} {name}")


def _record(param: Any, context: typer.Context) -> tuple[str, str] | None:
    """Name and meaning as `--help` has them; None for `--help` itself, which every command has."""
    record: tuple[str, str] | None = param.get_help_record(context)
    return None if record is None or param.name == "help" else record


def settings_page() -> str:
    """Every setting of the service, the nested ones too."""
    header = ("variable", "kind", "default", "meaning")
    parts = [
        "# Settings",
        NOTE,
        "The service reads these environment variables when it starts; later only the file of "
        "`YUYIN_KEYS_FILE`, again and again. Values of "
        "`dict` kinds are JSON. A value that cannot be used stops the start with a sentence that names the "
        "variable.",
        _table(header, _settings(Settings, "YUYIN_")),
        "Each entry of `YUYIN_KEYS`, and of the file `YUYIN_KEYS_FILE`, is an object with:",
        _table(("field", *header[1:]), _settings(KeyEntry, "")),
        "The command line reads three more places: `YUYIN_STORE` is the default of every `--store`, "
        "`YUYIN_KEY` is the key of `yuyin recommend --server`, and `YUYIN_VAD` is the voice detector of "
        "`yuyin features extract` and `yuyin dataset prepare` ([cli.md](cli.md)).",
    ]
    return _page(parts)


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        full = f"{prefix}{name.upper()}" if prefix else name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{full}__")
        else:
            yield f"`{full}`", _kind(field), _default(field), _prose(field.description or "")


def _kind(field: FieldInfo) -> str:
    plain = get_origin(field.annotation) is None and not isinstance(field.annotation, UnionType)
    name = getattr(field.annotation, "__name__", "") if plain else ""
    name = name or re.sub(r"\b(?:\w+\.)+", "", str(field.annotation))
    bounds = {"gt": "> ", "ge": ">= ", "lt": "< ", "le": "<= "}
    found = [
        f"{sign}{getattr(rule, attribute)}"
        for rule in field.metadata
        for attribute, sign in bounds.items()
        if hasattr(rule, attribute)
    ]
    return ", ".join([f"`{name}`", *found])


def _default(field: FieldInfo) -> str:
    factory = field.default_factory
    if field.is_required():
        return "required"
    if factory is None:
        value = sorted(field.default) if isinstance(field.default, frozenset) else field.default
        return "" if value is None else f"`{value}`"
    if isinstance(factory, type):
        return f"`{factory()}`"
    return factory.__name__.strip("_").replace("_", " ")  # what it gives depends on the machine


def errors_page() -> str:
    """Every code, with what it means and what helps."""
    parts = [
        "# Errors",
        NOTE,
        "Over HTTP every error is `application/problem+json` with these fields: `code` (stable: program "
        "against it), `status`, `title`, `detail` (one sentence with the fix in it), `request_id` (stands in "
        "the server's log). On the command line it is the same sentence on standard error, with the exit "
        "code of the last column; a dash means that the command line has no such error.",
        _table(("code", "status", "title", "meaning", "what to do", "exit"), _errors()),
    ]
    return _page(parts)


def _errors() -> Iterator[tuple[str, ...]]:
    meanings = {error.code: error.__doc__ or "" for error in _subclasses(YuyinError) if "code" in vars(error)}
    meanings |= HTTP_ONLY
    if set(STATUS) != set(WHAT_TO_DO) or set(STATUS) - set(meanings):
        odd = sorted(set(STATUS) ^ set(WHAT_TO_DO) | set(STATUS) - set(meanings))
        raise SystemExit(f"docs/generate.py: give these codes a row in WHAT_TO_DO or HTTP_ONLY: {odd}")
    for code, (status, title) in STATUS.items():
        exit_code = "-" if code in HTTP_ONLY else "2"
        meaning = " ".join(meanings[code].split())
        yield f"`{code}`", str(status), title, _prose(meaning), WHAT_TO_DO[code], exit_code


def _subclasses(error: type[YuyinError]) -> Iterator[type[YuyinError]]:
    for one in error.__subclasses__():
        if one.__module__ == YuyinError.__module__:  # others only say more about one of these
            yield one
            yield from _subclasses(one)


class _Unset(Settings):
    """The defaults, whatever the environment says."""

    @classmethod
    def settings_customise_sources(cls, *_: Any, **__: Any) -> tuple[Any, ...]:
        """No source but the defaults."""
        return ()


def openapi_document() -> str:
    """All routes as a program reads them, as GET /openapi.json of a server gives them."""
    described = create_app(_Unset()).openapi()
    return json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _prose(text: str) -> str:
    """Text that Markdown shows as it is: `YUYIN_<NAME>` would lose what looks like a tag."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else piece.replace("<", r"\<") for piece in pieces)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


PAGES = {
    "cli.md": cli_page,
    "settings.md": settings_page,
    "errors.md": errors_page,
    "openapi.json": openapi_document,
}


def main() -> None:
    """Write them beside this file."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
