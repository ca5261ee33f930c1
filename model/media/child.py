"""A video in, its streams out, decoded in a process of its own that can be killed without harm."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from model.errors import CannotDecode, VideoTooCostly
from model.media.container import open_source
from model.media.sandbox import TOO_COSTLY
from model.media.streams import VideoLimits, VideoRecipe, VideoStreams
from model.media.wire import MESSAGE_BYTES, pack_job, unpack_answer

_ATTEMPTS = 2  # a fork server that was killed from outside is started again once
_PATIENCE_S = 10.0  # beyond the child's own alarm
_STOP_S = 5.0
# All that the fork server gets of our environment: a decoder needs no secrets.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL", "TMPDIR")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class _ServerGone(Exception):
    """The fork server died before it could answer."""


@dataclass(frozen=True, slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    control: socket.socket

    @classmethod
    def start(cls) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "model.media.forkserver", str(theirs.fileno())],
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
                | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
                | _ONE_THREAD,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        return cls(process, ours)

    def stop(self) -> None:
        self.control.close()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Decoder:
    """Decodes each video in one forked, confined child; may be called from many threads at once.

    The answer and the errors are those of `model.media.video.read_video`; besides, a child that its limits
    or the kernel end is `VideoTooCostly`, and one that the decoder crashes is `CannotDecode`.
    """

    def __init__(self, limits: VideoLimits) -> None:
        """Starts the fork server and does not wait for it."""
        self._limits = limits
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._server: _Server | None = _Server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the fork server; children at work finish on their own. Later calls start a new one."""
        with self._lock:
            if self._server is not None and self._owner == os.getpid():
                self._server.stop()
            self._server = None

    def read_video(
        self,
        source: Path | bytes,
        recipe: VideoRecipe,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> VideoStreams:
        """`model.media.video.read_video` in a child; the arrays of the answer are read-only."""
        job = pack_job(recipe, self._limits, start_s, end_s)
        with _descriptor_of(source, self._limits) as video:
            for _ in range(_ATTEMPTS):
                server = self._alive()
                try:
                    return self._ask(server, job, video)
                except _ServerGone:
                    self._bury(server)
        raise RuntimeError("the decoding process ends again and again: look at its log and the memory left")

    def _alive(self) -> _Server:
        with self._lock:
            if self._server is not None and self._owner != os.getpid():
                self._server.control.close()  # we are a fork of the owner, the server stays with the owner
                self._server = None
            if self._server is None:
                self._server, self._owner = _Server.start(), os.getpid()
            return self._server

    def _bury(self, server: _Server) -> None:
        """Stop a fork server that no longer answers, unless another thread has done so."""
        with self._lock:
            if self._server is server:
                self._server = None
                server.stop()

    def _ask(self, server: _Server, job: bytes, video: int) -> VideoStreams:
        memory = os.memfd_create("streams", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with ours:
                with theirs:
                    socket.send_fds(server.control, [job], [theirs.fileno(), video, memory])
                ours.settimeout(self._limits.max_wall_s + _PATIENCE_S)
                answer = ours.recv(MESSAGE_BYTES)
            if not answer:
                raise _ServerGone
            if not answer.startswith(b"{"):
                raise _death(int(answer))
            memory = _settled(memory)
            return unpack_answer(answer, memory)
        except TimeoutError as error:
            raise VideoTooCostly("decoding hangs: send a proxy, such as 720p H.264") from error
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ServerGone from error
        finally:
            os.close(memory)


def _settled(memory: int) -> int:
    """The descriptor of the same bytes, where no child can change them any more.

    The kernel refuses to seal (EBUSY) while it holds pages of the file itself, such as on their way into its
    lists; it waits for them a while, and one in a hundred seals was seen to wait. Then a copy will do.
    """
    try:
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)
        return memory
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
    copy = os.memfd_create("streams", os.MFD_CLOEXEC)
    size_bytes, done = os.fstat(memory).st_size, 0
    while sent := os.sendfile(copy, memory, done, size_bytes - done):
        done += sent
    os.close(memory)
    return copy


def _death(exit_code: int) -> VideoTooCostly | CannotDecode:
    """Why a child ended without an answer; negative codes are signals."""
    if exit_code < 0 and signal.Signals(-exit_code) in TOO_COSTLY:
        return VideoTooCostly(
            "decoding takes more time or memory than is allowed: send a proxy, such as 720p H.264"
        )
    return CannotDecode("the decoder crashed on this video: export it again, or send a proxy in H.264")


@contextmanager
def _descriptor_of(source: Path | bytes, limits: VideoLimits) -> Iterator[int]:
    """A descriptor that the child can read the video from."""
    with open_source(source, limits) as file:
        if not isinstance(source, bytes):
            yield file.fileno()
            return
        memory = os.memfd_create("video", os.MFD_CLOEXEC)
        try:
            data = memoryview(source)
            while data:
                data = data[os.write(memory, data) :]
            yield memory
        finally:
            os.close(memory)
