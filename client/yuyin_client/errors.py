"""A refusal in, an exception of its kind out: program against the class or `code`, show the message.

* YuyinError
  + MediaRefused        the video cannot be used: another file, or a smaller one, is needed
  + RequestRefused      something in the request is wrong
    x BadOptions        an option is unknown or has a wrong value
    x IdempotencyMismatch  the key of a repeated call came with another request
  + KeyRefused
    x Unauthenticated   no key, or an unknown one
    x Forbidden         the key may not do this
  + NotFound            no such track, job, upload or snapshot
  + Conflict            something else has to end first
    x ReindexRunning    `problem["job"]` is the one that runs
    x IdempotencyRunning  the same call is still being answered
  + Unavailable         not now: `retry_after_s` says when to come again, where that is known
    x Overloaded        too many requests at once
    x NotReady          nothing can be recommended yet
  + ServerFault         the server is at fault: tell its operator the `request_id`
  + Unreachable         no answer came
  + JobFailed           a job ended otherwise than done: `job` is its record
"""

from collections.abc import Mapping
from typing import Any

from yuyin_client.answers import Job


class YuyinError(Exception):
    """Base class.

    Attributes:
        status: of HTTP; None where no answer came.
        code: stable and machine-readable, see the server's list of errors.
        detail: one sentence that says what to do.
        request_id: stands in the server's log.
        retry_after_s: seconds until it pays to ask again; None where nobody knows.
        problem: all that the server said.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
        self.problem = dict(problem or {})
        self.request_id: str | None = self.problem.get("request_id")


class MediaRefused(YuyinError):
    """The video cannot be used: another file, or a smaller one, is needed."""


class RequestRefused(YuyinError):
    """Something in the request is wrong."""


class BadOptions(RequestRefused):
    """An option is unknown or has a wrong value."""


class IdempotencyMismatch(RequestRefused):
    """The key of a repeated call came with another request before."""


class KeyRefused(YuyinError):
    """The API key, or its absence, is the fault."""


class Unauthenticated(KeyRefused):
    """No key, or an unknown one."""


class Forbidden(KeyRefused):
    """The key lacks the scope, or the host is fenced off."""


class NotFound(YuyinError):
    """No such track, job, upload or snapshot."""


class Conflict(YuyinError):
    """Something else has to end first."""


class ReindexRunning(Conflict):
    """A reindex is running already: `problem["job"]` is its id."""


class IdempotencyRunning(Conflict):
    """The same call is still being answered."""


class Unavailable(YuyinError):
    """Not now; `retry_after_s` says when to come again, where that is known."""


class Overloaded(Unavailable):
    """Too many requests at once."""


class NotReady(Unavailable):
    """Nothing can be recommended yet."""


class ServerFault(YuyinError):
    """The server is at fault: tell its operator the `request_id`."""


class Unreachable(YuyinError):
    """No answer came: the cause is what the network said."""


class JobFailed(YuyinError):
    """A job ended otherwise than done."""

    def __init__(self, job: Job) -> None:
        """The record of the job; its `error` says why, where it failed."""
        error = job["error"] or {"code": job["state"], "detail": f"the job was {job['state']}"}
        super().__init__(error["code"], error["detail"])
        self.job = job


_BY_CODE: dict[str, type[YuyinError]] = {
    "bad_options": BadOptions,
    "idempotency_mismatch": IdempotencyMismatch,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "not_found": NotFound,
    "reindex_running": ReindexRunning,
    "idempotency_running": IdempotencyRunning,
    "overloaded": Overloaded,
    "not_ready": NotReady,
} | dict.fromkeys(
    (
        *("not_media", "no_video_stream", "no_audio_stream", "encrypted", "cannot_decode", "empty_body"),
        *("video_too_large", "video_too_long", "video_too_costly"),
    ),
    MediaRefused,
)
_BY_STATUS: dict[int, type[YuyinError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, problem: Mapping[str, Any] | None, retry_after_s: float | None) -> YuyinError:
    """The exception for an answer that is no success.

    Args:
        status: of HTTP.
        problem: the body, if it is one of RFC 9457; proxies on the way answer otherwise.
        retry_after_s: what `Retry-After` says.
    """
    family = ServerFault if status >= 500 else RequestRefused
    kind = _BY_STATUS.get(status, family)
    if problem is None:
        detail = f"the answer was {status}, and not in the words of a YuYin server: is the address right?"
        return kind(f"http_{status}", detail, status=status, retry_after_s=retry_after_s)
    code = str(problem.get("code", f"http_{status}"))
    detail = str(problem.get("detail", problem.get("title", "")))
    kind = _BY_CODE.get(code, kind)
    return kind(code, detail, status=status, retry_after_s=retry_after_s, problem=problem)
