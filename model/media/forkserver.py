"""Jobs from a socket in, one forked and confined child per video out; run by `model.media.child`.

It has imported nothing but the decoder, so a fork costs about a millisecond and a child knows no secret of
the service. One child is always there ahead of its video: forked, warm, waiting for a job. Our own loop
rather than multiprocessing's: that one imports the parent's `__main__` into every child, which a console
script, `python -c` or a server's worker do not survive.
"""

import ctypes
import gc
import io
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import walk_packages
from select import select
from typing import NoReturn, cast

import av

from model.errors import DecoderLost, VideoTooCostly, YuyinError
from model.media.pictures import read_pictures
from model.media.sandbox import (
    Guards,
    Policy,
    attempts,
    close_all_but,
    confine,
    die_with_parent,
    leave_network,
)
from model.media.seccomp import Filter, decoder_filter
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video_file
from model.media.wire import (
    ATTEMPT,
    MESSAGE_BYTES,
    pack_error,
    pack_guards,
    pack_streams,
    unpack_job,
    unpack_shots,
)

_TOO_MUCH_MEMORY = "decoding takes more memory than is allowed: send a proxy, such as 720p H.264"
_NO_ROOM = "no decoding process can be started now: try again, and look at the processes and memory left"
_DESCRIPTORS = 3  # a job brings the answer's socket, the video, the memory for the pictures
# A GIF of one pixel, the smallest video there is.
_PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)


@dataclass(frozen=True, slots=True)
class _Cage:
    """What a child is confined by beside its own limits; made once, before any video is here."""

    policy: Policy
    calls: Filter | None
    off_network: bool
    libc: ctypes.CDLL

    def close(self, limits: VideoLimits, keep: list[int]) -> Guards:
        """Confine this process; what is possible in it nevertheless has not been tried."""
        return Guards(confine(limits, keep, self.calls, self.policy), self.off_network, ())


@dataclass(frozen=True, slots=True)
class _Spare:
    """A child that waits for its video."""

    pid: int
    channel: socket.socket


@dataclass(slots=True)
class _Children:
    """At work, by process id, with the socket through which the service hears of each; and the spare one."""

    cage: _Cage
    answers: dict[int, socket.socket] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)  # killed, since nobody waits for them, and not dead yet
    spare: _Spare | None = None

    def sockets(self) -> list[int]:
        return [answer.fileno() for child, answer in self.answers.items() if child not in self.left]

    def prepare(self) -> None:
        """Have a spare child; where there is no room for one now, the next job is what tries again."""
        if self.spare is None:
            with suppress(OSError):
                self.spare = _forked(self.cage)

    def employ(self, message: bytes, descriptors: list[int]) -> None:
        """Hand a job to the spare child, or to a new one where that was killed while it waited."""
        answer = socket.socket(fileno=descriptors[0])
        try:
            self.answers[self._give(message, descriptors)] = answer
        except OSError:  # no process can be started now: the videos of the others go on
            with answer, suppress(OSError):
                answer.send(pack_error(DecoderLost(_NO_ROOM)))

    def _give(self, message: bytes, descriptors: list[int]) -> int:
        spare, self.spare = self.spare, None
        if spare is not None:
            with suppress(OSError):
                return _hand(spare, message, descriptors)
        return _hand(_forked(self.cage), message, descriptors)

    def kill_unwanted(self, ready: list[int]) -> None:
        """The service sends nothing on these: one that can be read was closed, so nobody waits any more."""
        for child, answer in self.answers.items():
            if child not in self.left and answer.fileno() in ready:
                os.kill(child, signal.SIGKILL)  # not reaped yet, so the id is still its own
                self.left.add(child)

    def report_dead(self) -> None:
        """Tell whoever waits how its child ended; children that answered are no longer waited for."""
        with suppress(ChildProcessError):  # no child is left
            while True:
                child, status = os.waitpid(-1, os.WNOHANG)
                if child == 0:
                    return
                self.left.discard(child)
                if child in self.answers:
                    with self.answers.pop(child) as answer, suppress(OSError):
                        answer.send(b"%d" % os.waitstatus_to_exitcode(status))

    def dismiss(self) -> None:
        """End the spare child."""
        if self.spare is not None:
            self.spare.channel.close()
            with suppress(ChildProcessError):  # it was killed before, and reaped
                os.waitpid(self.spare.pid, 0)


def main() -> None:
    """Serve jobs until the other end of the socket is closed, then until nobody waits for a child."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then closes the socket
    _preload()
    cage = _Cage(cast(Policy, sys.argv[2]), decoder_filter(), leave_network(), ctypes.CDLL(None))
    gc.collect()
    gc.freeze()  # else a collection in a child touches, and so copies, every page that has an object
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    children, serving = _Children(cage), True
    while serving or children.answers:
        if serving:
            children.prepare()
        ends = [woken, *children.sockets()] + ([control.fileno()] if serving else [])
        ready, _, _ = select(ends, [], [])
        if woken in ready:
            os.read(woken, 4096)
            children.report_dead()
        children.kill_unwanted(ready)
        if control.fileno() in ready:
            serving = _accept(control, children)
    children.dismiss()


def _preload() -> None:
    """Import what PyAV and numpy import only when it is used: a confined child can open no file."""
    for module in walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    _warm_up()


def _warm_up() -> None:
    read_video_file(io.BytesIO(_PIXEL), VideoRecipe(), VideoLimits())


def _accept(control: socket.socket, children: _Children) -> bool:
    """Give the next job to a child; False if there will be none any more."""
    message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, _DESCRIPTORS)
    if not message:
        return False
    children.employ(message, descriptors)
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    return True


def _forked(cage: _Cage) -> _Spare:
    """A child that waits for its job."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server, child = os.getpid(), os.fork()
    if child:
        theirs.close()
        return _Spare(child, ours)
    die_with_parent(cage.libc, server)
    _wait_and_answer(theirs, cage)


def _hand(spare: _Spare, message: bytes, descriptors: list[int]) -> int:
    """Give it its job; returns its process id, raises OSError if it is gone."""
    with spare.channel:
        socket.send_fds(spare.channel, [message], descriptors)
    return spare.pid


def _wait_and_answer(channel: socket.socket, cage: _Cage) -> NoReturn:
    """The child's whole life."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        close_all_but([channel.fileno()])  # what it was born with belongs to others' videos
        _warm_up()  # its copies of the decoder's pages are made before anyone waits for them
        message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, _DESCRIPTORS)
        if message:
            _answer(message, descriptors, cage)
        code = 0
    except BaseException:
        traceback.print_exc()  # a fault of ours: the service sees only the exit code
    finally:
        os._exit(code)


def _answer(message: bytes, descriptors: list[int], cage: _Cage) -> None:
    """Do one job: decode a video, or try to get out."""
    answer, video, memory = socket.socket(fileno=descriptors[0]), *descriptors[1:]

    def close(limits: VideoLimits) -> Guards:
        return cage.close(limits, descriptors)

    answer.send(_attempt(close) if message == ATTEMPT else _decode(message, video, memory, close))


def _attempt(close: Callable[[VideoLimits], Guards]) -> bytes:
    try:
        guards = close(VideoLimits())
        return pack_guards(Guards(guards.calls_filtered, guards.off_network, attempts()))
    except YuyinError as error:
        return pack_error(error)


def _decode(message: bytes, video: int, memory: int, close: Callable[[VideoLimits], Guards]) -> bytes:
    recipe, limits, start_s, end_s = unpack_job(message)
    try:
        with os.fdopen(video, "rb") as file:
            close(limits)
            shots = unpack_shots(message)
            if shots is None:
                streams = read_video_file(file, recipe, limits, start_s=start_s, end_s=end_s)
            else:
                file.seek(0)
                streams = read_pictures(file.read(), shots, recipe, limits, start_s=start_s, end_s=end_s)
            return pack_streams(streams, memory)
    except MemoryError:
        return pack_error(VideoTooCostly(_TOO_MUCH_MEMORY))
    except YuyinError as error:
        return pack_error(error)


if __name__ == "__main__":
    main()
