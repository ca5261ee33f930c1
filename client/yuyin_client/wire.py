"""A call in, what httpx takes of it out; a response in, an answer out: the same for both clients."""

from dataclasses import replace
from typing import Any

import httpx

from yuyin_client.calls import Answer, Call

ANSWER_S = 300.0  # a server gives up after 120 s of work, which may have waited
CONNECT_S = 10.0


def settings(url: str, key: str | None, timeout_s: float) -> dict[str, Any]:
    """For either client of httpx.

    Raises:
        ValueError: if the address or the key cannot be one; the key is not in its words.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"the address of the server cannot be read ({error})") from None
    if address.scheme not in ("http", "https") or not address.host or address.userinfo or address.query:
        raise ValueError(
            "the address of a server is http://HOST:PORT or https://HOST, without user and query"
        )
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise ValueError("the API key has characters that no key has: was it cut off, or read with its line?")
    headers = {"Accept": "application/json, application/problem+json", "User-Agent": "yuyin-client"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"  # httpx shows this header as [secure]
    return {
        "base_url": address,
        "headers": headers,
        "timeout": httpx.Timeout(timeout_s, connect=CONNECT_S),
        "follow_redirects": False,  # to wherever it is, the key would go along
    }


def request(call: Call[Any], more: dict[str, str]) -> dict[str, Any]:
    """What `httpx` takes of a call, but for its body."""
    headers = {**call.headers, **more}
    if call.body is not None:
        headers["Content-Type"] = call.body.content_type
        length = call.body.length()
        headers |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    return {"method": call.method, "url": call.path, "params": call.params or None, "headers": headers}


def head(response: httpx.Response) -> Answer:
    """Without its body."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, b"")


def answer_of(response: httpx.Response) -> Answer:
    """All of it; the body has been read."""
    return replace(head(response), body=response.content)
