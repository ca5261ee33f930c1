"""A seed in, one request as good or bad callers send it out, with what is wrong about its answer.

Nothing here measures; it is what load.py does to a service, and the tests that kill parts of one.
"""

import hashlib
import json
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fleet import Answer, Stock, ask
from mutants import mutant, sources

MAX_BYTES = 1_500_000  # YUYIN_LIMITS__MAX_BYTES of the service that is called
IDLE_S = 2.0  # YUYIN_UPLOAD_IDLE_S of it
OPTIONS: tuple[Mapping[str, Any], ...] = (
    {},
    {"top_k": 2},
    {"top_k": 3, "start_s": 1.0, "end_s": 3.0},
    {"max_per_artist": 2},
    {"filters": {"duration_s": {"min": 12}}},
    {"diversity": 0.4, "top_k": 4},
)
WRONG = ('{"top_k": 0}', "{", '{"colour": "red"}', '{"start_s": 9000}', '{"filters": {"bpm": 3}}')
REFUSALS = {408, 413, 415, 422, 429}
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
PASSING = ("request_id", "timings_ms")  # all that repeats of an answer may differ in
References = Mapping[tuple[str, int, str], Mapping[str, Any]]  # by clip, number of the options, snapshot


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one request."""

    kind: str
    status: int  # 0 where nobody waited for an answer, or there was none
    code: str
    fault: str = ""  # what it must not have been


def lasting(body: Mapping[str, Any]) -> dict[str, Any]:
    """Of an answer, what has to be the same again."""
    return {name: value for name, value in body.items() if name not in PASSING}


def salted(clip: bytes, salt: int) -> bytes:
    """Another file with the same picture: one box more at the end of an MP4, which players skip."""
    return clip + (16).to_bytes(4, "big") + b"free" + salt.to_bytes(8, "big")


class Caller:
    """One of those who call in a closed loop."""

    def __init__(self, port: int, seed: int, crowd: "Crowd") -> None:
        self._port, self._crowd = port, crowd
        self._rng = random.Random(seed)
        kinds = {
            self._good: 10,
            self._mutant: 3,
            self._wrong_options: 1,
            self._empty: 1,
            self._too_large: 1,
            self._leaves: 1,
            self._stalls: 0.3,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def call(self) -> Said:
        """One request, and what was wrong about its answer; a lost connection is an answer of status 0."""
        return self._called(self._rng.choices(self._kinds, self._weights)[0])

    def call_well(self) -> Said:
        """The same for a request that has to be answered."""
        return self._called(self._good)

    def _called(self, kind: Callable[[], Said]) -> Said:
        try:
            return kind()
        except Exception as error:  # a caller that ended here would call no more, and nobody would hear of it
            return Said(kind.__name__.strip("_"), 0, "lost", f"no answer: {error!r}")

    def _post(self, body: Any, options: str | None = None, **headers: str) -> Answer:
        path = "/v1/recommend" + ("" if options is None else f"?options={quote(options)}")
        given = {"Content-Type": "video/mp4"} | headers
        return ask(self._port, path, body, method="POST", headers=given)

    def _good(self) -> Said:
        """Raw or as a form; the same file as others sent, or one that was never seen."""
        name = self._rng.choice(sorted(self._crowd.clips))
        number = self._rng.randrange(len(OPTIONS))
        body = self._crowd.clips[name]
        if self._rng.random() < 0.6:
            body = salted(body, self._rng.getrandbits(62))
        asked = json.dumps(OPTIONS[number])
        if self._rng.random() < 0.3:
            form, boundary = as_form(body, asked), "yuyin-boundary"
            kind = f"multipart/form-data; boundary={boundary}"
            answer = self._post(form, **{"Content-Type": kind})
        else:
            answer = self._post(body, asked)
        said = self._said("good", answer, {(200, "")})
        if answer.status != 200 or said.fault:
            return said
        return Said("good", 200, "", self._crowd.wrong(answer.json, name, number, body))

    def _mutant(self) -> Said:
        """A broken file, or one that is not as broken as it looks."""
        body = mutant(self._crowd.media, self._rng.getrandbits(24))[:MAX_BYTES]
        legal = {"not_media", "no_video_stream", "cannot_decode", "encrypted", "empty_body", "bad_options"}
        legal |= {"video_too_large", "video_too_long", "video_too_costly", ""}
        answer = self._post(body)
        said = self._said("mutant", answer, {(answer.status, code) for code in legal})
        if answer.status != 200 or said.fault:
            return said
        return Said("mutant", 200, "", self._crowd.mixed(answer.json))

    def _wrong_options(self) -> Said:
        name = self._rng.choice(sorted(self._crowd.clips))
        answer = self._post(self._crowd.clips[name], self._rng.choice(WRONG))
        return self._said("wrong options", answer, {(422, "bad_options")})

    def _empty(self) -> Said:
        return self._said("empty", self._post(b""), {(422, "empty_body")})

    def _too_large(self) -> Said:
        body: Any = bytes(MAX_BYTES + 1)
        if self._rng.random() < 0.5:  # of no announced length
            body = iter([body[: MAX_BYTES // 2], body[: MAX_BYTES // 2], b"more"])
        return self._said("too large", self._post(body), {(413, "video_too_large")})

    def _leaves(self) -> Said:
        """Hangs up in the middle of its body, or before the answer."""
        clip = self._crowd.clips[self._rng.choice(sorted(self._crowd.clips))]
        cut = self._rng.choice((len(clip) // 2, len(clip)))
        with self._begun(clip, cut):
            time.sleep(self._rng.uniform(0.0, 0.6))
        return Said("leaves", 0, "")

    def _stalls(self) -> Said:
        """Stops in its body, and waits to be told so."""
        clip = next(iter(self._crowd.clips.values()))
        with self._begun(clip, 1000) as connection:
            heard = b""
            while piece := connection.recv(65_536):
                heard += piece
        head, _, body = heard.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
        found = {name.lower(): value for name, _, value in lines}
        answer = Answer(int(head.split()[1]), found, body)
        return self._said("stalls", answer, {(408, "upload_too_slow")})

    def _begun(self, body: bytes, cut: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        head = f"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        with suppress(ConnectionError):  # refused before all was sent
            connection.sendall(head.encode() + body[:cut])
        return connection

    def _said(self, kind: str, answer: Answer, legal: set[tuple[int, str]]) -> Said:
        """Whether an answer is one of `legal` or says 429, and a refusal has the body of one."""
        if answer.status == 200:
            return Said(kind, 200, "", "" if (200, "") in legal else "answered")
        body = answer.json or {}  # a proxy's refusal may have none
        code = str(body.get("code", ""))
        faults = [] if (answer.status, code) in legal | {(429, "overloaded")} else ["another refusal"]
        faults += [] if answer.status in REFUSALS else [f"status {answer.status}"]
        faults += [] if answer.headers.get("content-type") == "application/problem+json" else ["its type"]
        faults += [] if set(body) >= MEMBERS and body["status"] == answer.status else ["its members"]
        if answer.status == 429 and not 1 <= int(answer.headers.get("retry-after", "0")) <= 60:
            faults.append("its Retry-After")
        told = f"{answer.status} {answer.body.decode()[:300]}"
        return Said(kind, answer.status, code, f"{', '.join(faults)}: {told}" if faults else "")


def as_form(video: bytes, options: str) -> bytes:
    """multipart/form-data with the boundary yuyin-boundary."""
    head = b'--yuyin-boundary\r\nContent-Disposition: form-data; name="video"; filename="cut"\r\n\r\n'
    text = f'\r\n--yuyin-boundary\r\nContent-Disposition: form-data; name="options"\r\n\r\n{options}'
    return head + video + text.encode() + b"\r\n--yuyin-boundary--\r\n"


@dataclass(frozen=True)
class Crowd:
    """What all callers know."""

    clips: Mapping[str, bytes]
    media: Sequence[bytes]  # that mutants are made of
    references: References
    pool_of: Mapping[str, str]  # by snapshot

    @classmethod
    def of(cls, media: Path, stock: Stock, references: References) -> "Crowd":
        """Args: `media` is a folder of real files."""
        pools = {snapshot: pool for pool, snapshot in stock.snapshots.items()}
        return cls(short_clips(media), sources(media), references, pools)

    def mixed(self, body: Mapping[str, Any]) -> str:
        """Whether the tracks are those of the snapshot that the answer names; empty if all is well."""
        pool = self.pool_of.get(body["snapshot"])
        strange = [one["track_id"] for one in body["results"] if not one["track_id"].startswith(f"{pool}-")]
        return f"{strange} from {pool}" if strange or pool is None else ""

    def wrong(self, body: Mapping[str, Any], clip: str, number: int, sent: bytes) -> str:
        """How an answer differs from what was worked out beforehand; empty if it does not."""
        if fault := self.mixed(body):
            return fault
        wanted = dict(self.references[clip, number, body["snapshot"]])
        wanted["video"] = wanted["video"] | {"sha256": hashlib.sha256(sent).hexdigest()}
        found = lasting(body)
        differ = [name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)]
        return f"{clip} with {OPTIONS[number]} differs in {differ}" if differ else ""


def short_clips(media: Path, count: int = 5) -> dict[str, bytes]:
    """The smallest real adverts: decoded in little time."""
    found = sorted((media / "synthetic_ads").glob("*.mp4"), key=lambda path: path.stat().st_size)
    return {path.stem: path.read_bytes() for path in found[:count]}
