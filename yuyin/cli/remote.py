"""A running server and a request in, its JSON out, or what it says is wrong in one sentence."""

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from model.errors import BadOptions, InputError

TIMEOUT_S = 300


def get_json(server: str, path: str, key: str | None) -> dict[str, Any]:
    """GET; raises as `post`."""
    found: dict[str, Any] = json.loads(_send(server, path, key, None, {}))
    return found


def post(server: str, path: str, key: str | None, body: bytes, kind: str) -> bytes:
    """POST a body of a media type.

    Raises:
        BadOptions: if the server's address is none.
        InputError: if it does not answer, or refuses: with its own words.
    """
    return _send(server, path, key, body, {"Content-Type": kind})


def _send(server: str, path: str, key: str | None, body: bytes | None, headers: dict[str, str]) -> bytes:
    if urlsplit(server).scheme not in ("http", "https"):
        raise BadOptions(f"--server {server!r} is no address: write http://HOST:PORT")
    headers = headers | ({"Authorization": f"Bearer {key}"} if key else {})
    request = Request(f"{server.rstrip('/')}{path}", data=body, headers=headers)
    try:
        with urlopen(request, timeout=TIMEOUT_S) as response:
            answer: bytes = response.read()
            return answer
    except HTTPError as error:
        raise InputError(_problem(error)) from error
    except URLError as error:
        raise InputError(
            f"{server} does not answer ({error.reason}): is it running, is the address right?"
        ) from error


def _problem(error: HTTPError) -> str:
    try:
        problem = json.loads(error.read())
        return f"the server says {problem['code']}: {problem['detail']}"
    except (ValueError, KeyError):
        return f"the server answered {error.code} {error.reason}"
