"""`Idempotency-Key` in: the first answer under it out again, whoever of us gave it.

For callers that lost an answer and ask again: the work is done once. Keys are the caller's own, a day long.
A request that failed frees its key. An answer that held under rights which are not in force any more is not
given again: it may name music that was withdrawn since.
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

    Raises:
        IdempotencyMismatch: if the key came with another request before.
        IdempotencyRunning: while that request is worked on.
        BadOptions: for a key that is empty, too long or not printable.
    """
    if sent is None:
        return await make()
    if not (0 < len(sent) <= 255 and sent.isascii() and sent.isprintable()):
        raise BadOptions(f"{HEADER} has 1 to 255 printable ASCII characters, such as a UUID")
    key = _hash([caller, sent])
    claim = await keys.claim(key, _hash(fingerprint), hold_s=hold_s + MARGIN_S)
    match claim.state:
        case "other":
            raise IdempotencyMismatch(f"this {HEADER} came with another request before: take a new one")
        case "running":
            raise IdempotencyRunning(f"the request under this {HEADER} is still worked on: ask again")
        case "answered":
            return _again(claim.answer, under) or await make()
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


def _again(packed: bytes, under: str) -> Response | None:
    head, _, body = packed.partition(b"\n")
    told = json.loads(head)
    if told["under"] != under:
        return None
    return Response(body, told["status"], headers={**told["headers"], REPLAYED: "true"})
