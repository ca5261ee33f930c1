"""`Idempotency-Key` in: the first answer under it out again, whoever of us gave it.

For callers that lost an answer and ask again: the work is done once. Keys are the caller's own, a day long.
A request that failed frees its key. An answer that does not hold any more is not given again, such as one
under rights that are not in force now: it may name music that was withdrawn since. The first that is made in
its place is kept as the first one was, under a key that follows from both.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Response

from model.artifact import canonical_json
from model.errors import BadOptions, IdempotencyMismatch, IdempotencyRunning
from service.stores.shared import Idempotency

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEEP_S = 24 * 3600.0
MARGIN_S = 60.0  # beyond the deadline of the work: then its process is surely gone
_HEADERS = ("content-type", "location", "preference-applied", "retry-after")


async def once(
    sent: str | None,
    keys: Idempotency,
    caller: str | None,
    fingerprint: dict[str, Any],
    make: Callable[[], Awaitable[Response]],
    *,
    hold_s: float,
    under: str = "",
    holds: Callable[[bytes], Awaitable[bool]] | None = None,
) -> Response:
    """What `make` gives, or what it gave to the same request before; without the header, what it gives.

    Args:
        sent: the header, if it came.
        keys: of all processes.
        caller: the name of the API key.
        fingerprint: everything that tells one request from another, as JSON.
        make: does the work; its answer is a success and is not streamed.
        hold_s: the longest that the work may take.
        under: what the answer holds under beside the request; under another, the work is done anew.
        holds: whether what a body tells of is still there; if not, the work is done anew.

    Raises:
        IdempotencyMismatch: if the key came with another request before.
        IdempotencyRunning: while that request is worked on.
        BadOptions: for a key that is empty, too long or not printable.
    """
    if sent is None:
        return await make()
    if not (0 < len(sent) <= 255 and sent.isascii() and sent.isprintable()):
        raise BadOptions(f"{HEADER} has 1 to 255 printable ASCII characters, such as a UUID")
    key, request = _hash([caller, sent]), _hash(fingerprint)
    while (claim := await keys.claim(key, request, hold_s=hold_s + MARGIN_S)).state == "answered":
        if (again := await _again(claim.answer, under, holds)) is not None:
            return again
        key = _hash([key, hashlib.sha256(claim.answer).hexdigest()])
    if claim.state == "other":
        raise IdempotencyMismatch(f"this {HEADER} came with another request before: take a new one")
    if claim.state == "running":
        raise IdempotencyRunning(f"the request under this {HEADER} is still worked on: ask again")
    try:
        answer = await make()
        await keys.finish(key, claim.token, _packed(answer, under), keep_s=KEEP_S)
    except BaseException:
        await keys.release(key, claim.token)
        raise
    return answer


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _packed(answer: Response, under: str) -> bytes:
    headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
    told = {"status": answer.status_code, "headers": headers, "under": under}
    return json.dumps(told).encode() + b"\n" + bytes(answer.body)


async def _again(
    packed: bytes, under: str, holds: Callable[[bytes], Awaitable[bool]] | None
) -> Response | None:
    head, _, body = packed.partition(b"\n")
    told = json.loads(head)
    if told["under"] != under or (holds is not None and not await holds(body)):
        return None
    return Response(body, told["status"], headers={**told["headers"], REPLAYED: "true"})
