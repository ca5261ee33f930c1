"""A video in, its streams out, decoded in a process of its own that can be killed without harm."""

import errno
import fcntl
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from model.errors import CannotDecode, DecoderLost, VideoTooCostly
from model.media.container import open_source
from model.media.pictures import Shots
from model.media.sandbox import TOO_COSTLY, Guards, Policy
from model.media.streams import VideoLimits, VideoRecipe, VideoStreams
from model.media.tally import Tally
from model.media.wire import ATTEMPT, MESSAGE_BYTES, pack_job, unpack_answer, unpack_guards

_ATTEMPTS = 3  # a fork server that was killed from outside is started again, twice
_PATIENCE_S = 10.0  # beyond the child's own alarm
_LOOK_S = 0.05  # how often a wait looks whether it is still wanted
_STOP_S = 5.0
_MOMENT_MS = 1000
# All that the fork server gets of our environment: a decoder needs no secrets.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL", "TMPDIR")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# A child decodes one video and ends: memory that it gives back between frames is only asked for again.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2), "MALLOC_TRIM_THRESHOLD_": str(1024**3)}


class Unwanted(Exception):
    """Decoding was stopped, since nobody waits for it any more."""


class _ServerGone(Exception):
    """The fork server died before it could answer."""


@dataclass(frozen=True, slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    control: socket.socket

    @classmethod
    def start(cls, policy: Policy) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "model.media.forkserver", str(theirs.fileno()), policy],
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
                | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
                | _ONE_THREAD
                | _KEEP_MEMORY,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        return cls(process, ours)

    def is_gone(self) -> bool:
        """Whether it has closed its end; a child that it was about to confine may hold that for a moment."""
        waiting = select.poll()
        try:
            waiting.register(self.control, select.POLLHUP)
        except ValueError:  # another thread found out first and closed ours
            return True
        return bool(waiting.poll(_MOMENT_MS))

    def stop(self) -> None:
        self.control.close()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _always_wanted() -> bool:
    return False


class Decoder:
    """Decodes each video in one forked, confined child; may be called from many threads at once.

    The answer and the errors are those of `model.media.video.read_video`; besides, a child that its limits
    or the kernel end is `VideoTooCostly`, and one that the decoder crashes is `CannotDecode`.
    """

    def __init__(
        self,
        limits: VideoLimits,
        *,
        sandbox: Policy = "prefer",
        unwanted: Callable[[], bool] = _always_wanted,
    ) -> None:
        """Starts the fork server and does not wait for it.

        Args:
            limits: what one video may cost.
            sandbox: whether to decode where the kernel takes no filter of system calls: not (require), or
                within resource limits alone (prefer).
            unwanted: asked all the while in the thread that waits; once it is true the child is killed.
        """
        self.tally = Tally()
        self._limits = limits
        self._unwanted = unwanted
        self._sandbox: Policy = sandbox
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._server: _Server | None = _Server.start(sandbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the fork server, after the children that somebody waits for. Later calls start a new one."""
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
        """`model.media.video.read_video` in a child; the arrays of the answer are read-only.

        Args:
            source: a file or its bytes.
            recipe: which frames, how large, and whether every frame is wanted for motion.
            start_s: the part to look at, in seconds from the first frame; None for the beginning.
            end_s: likewise; None or anything beyond the last frame for the end.

        Raises:
            MediaError: one of its kinds, by what is wrong with the file.
            BadOptions: the part is empty or lies behind the end.
            Unwanted: if nobody waits for it any more.
            NoSandbox: if a filter of system calls is required and there is none.
            DecoderLost: if the decoding process was killed from outside, again and again.
        """
        job = pack_job(recipe, self._limits, start_s, end_s)
        with _descriptor_of(source, self._limits) as video, _memory("streams") as memory:
            answer = self._answer(job, (video, memory))
            with _settled(memory) as settled:
                return unpack_answer(answer, settled)

    def read_pictures(
        self,
        files: Sequence[bytes],
        times_s: Sequence[float],
        duration_s: float,
        recipe: VideoRecipe,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> VideoStreams:
        """`model.media.pictures.read_pictures` in a child.

        Args:
            files: JPEG or PNG, at most about a thousand.
            times_s: when each was taken, strictly ascending.
            duration_s: of the video.
            recipe: which of them, and how large.
            start_s: the part to look at, as of a video.
            end_s: likewise.

        Raises:
            YuyinError: as `read_video`.
        """
        shots = Shots(tuple(times_s), tuple(map(len, files)), duration_s)
        job = pack_job(recipe, self._limits, start_s, end_s, shots)
        with _descriptor_of(b"".join(files), self._limits) as data, _memory("streams") as memory:
            answer = self._answer(job, (data, memory))
            with _settled(memory) as settled:
                return unpack_answer(answer, settled)

    def guards(self) -> Guards:
        """What confines a child on this machine: one is started and tries to get out.

        Raises:
            NoSandbox: if a filter of system calls is required and there is none.
            DecoderLost: if the decoding process was killed from outside, again and again.
        """
        with _memory("video") as video, _memory("streams") as memory:
            return unpack_guards(self._answer(ATTEMPT, (video, memory)))

    def _answer(self, job: bytes, descriptors: tuple[int, int]) -> bytes:
        for _ in range(_ATTEMPTS):
            server = self._alive()
            try:
                with self.tally.child(kills=(VideoTooCostly, Unwanted)):
                    return self._ask(server, job, descriptors)
            except _ServerGone:
                self._bury(server)
        raise DecoderLost(
            "the decoding process ends again and again: try again, and look at its log and the memory left"
        )

    def _alive(self) -> _Server:
        with self._lock:
            if self._server is not None and self._owner != os.getpid():
                self._server.control.close()  # we are a fork of the owner, the server stays with the owner
                self._server = None
            if self._server is None:
                self._server, self._owner = _Server.start(self._sandbox), os.getpid()
            return self._server

    def _bury(self, server: _Server) -> None:
        """Stop a fork server that no longer answers, unless another thread has done so."""
        with self._lock:
            if self._server is server:
                self._server = None
                server.stop()

    def _ask(self, server: _Server, job: bytes, descriptors: tuple[int, int]) -> bytes:
        """The child's message; leaving early closes our end, which the fork server takes as to kill it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs, self._lock:  # so that nobody closes the server's socket meanwhile
                try:
                    socket.send_fds(server.control, [job], [theirs.fileno(), *descriptors])
                except OSError as error:
                    raise _ServerGone from error
            answer = self._wait(ours)
        if answer.startswith(b"{"):
            return answer
        if not answer and server.is_gone():
            raise _ServerGone
        raise _death(answer)

    def _wait(self, ours: socket.socket) -> bytes:
        ours.settimeout(_LOOK_S)
        until_s = time.monotonic() + self._limits.max_wall_s + _PATIENCE_S
        while time.monotonic() < until_s:
            try:
                return ours.recv(MESSAGE_BYTES)
            except TimeoutError:
                if self._unwanted():
                    raise Unwanted from None
            except ConnectionResetError:
                return b""
        raise VideoTooCostly("decoding hangs: send a proxy, such as 720p H.264")


@contextmanager
def _memory(name: str) -> Iterator[int]:
    """A file in memory, of this process and whoever is handed its descriptor."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _settled(memory: int) -> Iterator[int]:
    """A descriptor of the same bytes, where no child can change them any more.

    The kernel refuses to seal (EBUSY) while it holds pages of the file itself, such as on their way into its
    lists; it waits for them a while, and one in a hundred seals was seen to wait. Then a copy will do.
    """
    try:
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
    else:
        yield memory
        return
    with _memory("copy") as copy:
        size_bytes, done = os.fstat(memory).st_size, 0
        while sent := os.sendfile(copy, memory, done, size_bytes - done):
            done += sent
        yield copy


def _death(answer: bytes) -> VideoTooCostly | CannotDecode:
    """Why a child ended, from its exit code, negative for signals, or from whatever a hostile one said."""
    if answer in {b"%d" % -number for number in TOO_COSTLY}:
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
        with _memory("video") as memory:
            data = memoryview(source)
            while data:
                data = data[os.write(memory, data) :]
            yield memory
