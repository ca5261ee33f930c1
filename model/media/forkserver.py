"""Jobs from a socket in, one forked and confined child per video out; run by `model.media.child`.

It has imported nothing but the decoder, so a fork costs about a millisecond and a child knows no secret of
the service. Our own loop rather than multiprocessing's: that one imports the parent's `__main__` into every
child, which a console script, `python -c` or a server's worker do not survive.
"""

import io
import os
import signal
import socket
import sys
import traceback
from importlib import import_module
from pkgutil import walk_packages
from select import select

import av

from model.errors import VideoTooCostly, YuyinError
from model.media.sandbox import confine
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video_file
from model.media.wire import MESSAGE_BYTES, pack_error, pack_streams, unpack_job

_TOO_MUCH_MEMORY = "decoding takes more memory than is allowed: send a proxy, such as 720p H.264"
_DESCRIPTORS = 3  # a job brings the answer's socket, the video, the memory for the pictures
# A GIF of one pixel, the smallest video there is.
_PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)


def main() -> None:
    """Serve jobs until the other end of the socket is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then closes the socket
    _preload()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    answers: dict[int, socket.socket] = {}  # by process id
    ends = [control.fileno(), woken]
    while True:
        ready, _, _ = select(ends, [], [])
        if woken in ready:
            os.read(woken, 4096)
            _report_dead(answers)
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, _DESCRIPTORS)
            if not message:
                return
            _start(message, descriptors, answers)


def _preload() -> None:
    """Import what PyAV and numpy import only when it is used: a confined child can open no file."""
    for module in walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    read_video_file(io.BytesIO(_PIXEL), VideoRecipe(), VideoLimits())


def _start(message: bytes, descriptors: list[int], answers: dict[int, socket.socket]) -> None:
    answer = socket.socket(fileno=descriptors[0])
    child = os.fork()
    if child == 0:
        _decode_and_exit(message, answer, *descriptors[1:])
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    answers[child] = answer


def _report_dead(answers: dict[int, socket.socket]) -> None:
    """Tell whoever waits how its child ended; children that answered are no longer waited for."""
    while answers:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        with answers.pop(child) as answer:
            try:
                answer.send(b"%d" % os.waitstatus_to_exitcode(status))
            except OSError:
                continue


def _decode_and_exit(message: bytes, answer: socket.socket, video: int, memory: int) -> None:
    """The child's whole life; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        answer.send(_decode(message, video, memory, keep=(answer.fileno(), video, memory)))
        code = 0
    except BaseException:
        traceback.print_exc()  # a fault of ours: the service sees only the exit code
    finally:
        os._exit(code)


def _decode(message: bytes, video: int, memory: int, keep: tuple[int, ...]) -> bytes:
    recipe, limits, start_s, end_s = unpack_job(message)
    try:
        with os.fdopen(video, "rb") as file:
            confine(limits, keep)
            streams = read_video_file(file, recipe, limits, start_s=start_s, end_s=end_s)
            return pack_streams(streams, memory)
    except MemoryError:
        return pack_error(VideoTooCostly(_TOO_MUCH_MEMORY))
    except YuyinError as error:
        return pack_error(error)


if __name__ == "__main__":
    main()
