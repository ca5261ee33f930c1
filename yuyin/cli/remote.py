"""A running server and a request in, its JSON out, or what it says is wrong in one sentence."""

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from model.errors import BadOptions, InputError

TIMEOUT_S = 300


class _Stay(HTTPRedirectHandler):
    """Redirects are told, not followed: the key would go along to wherever they lead."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None leaves the answer as it is, which is an error then."""


def get_json(server: str, path: str, key: str | None) -> dict[str, Any]:
    """GET; raises as `post`."""
    try:
        found: dict[str, Any] = json.loads(_send(server, path, key, None, {}))
    except ValueError as error:
        raise InputError(no_yuyin(server)) from error
    return found


def no_yuyin(server: str) -> str:
    """What to say of an answer that is none of ours."""
    return f"{server} answers, but not as a YuYin server does: is the address right?"


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
        with build_opener(_Stay).open(request, timeout=TIMEOUT_S) as response:
            answer: bytes = response.read()
            return answer
    except HTTPError as error:
        with error:
            raise InputError(_problem(error)) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error) or type(error).__name__
        raise InputError(
            f"{server} does not answer ({reason}): is it running, is the address right?"
        ) from error


def _problem(error: HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"the server sends on to {error.headers.get('Location')}: write that address"
    try:
        problem = json.loads(error.read())
        return f"the server says {problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError, OSError, HTTPException):
        return f"the server answered {error.code} {error.reason}"
