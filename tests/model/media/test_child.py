import contextvars
import gc
import json
import mmap
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model import errors
from model.media.child import Decoder, Unwanted, _settled
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video
from model.media.wire import pack_streams, unpack_answer

LIMITS = VideoLimits()
RECIPE = VideoRecipe()
ARRAYS = ("frames", "frame_times_s", "motion", "motion_times_s")


@pytest.fixture(scope="module")
def decoder():
    with Decoder(LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def costly(clips, tmp_path_factory):
    """Noise, 2 s of 640x360: a few tenths of a second of work."""
    noise = np.random.default_rng(1).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("costly") / "noise.mp4"
    options = {"crf": "10", "preset": "ultrafast", "g": "1"}
    return clips.write(path, range(0, 2000, 40), pictures=lambda i: np.roll(noise, 7 * i, 1), options=options)


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS) and (
        (one.info, one.start_s, one.end_s, one.warnings)
        == (other.info, other.start_s, other.end_s, other.warnings)
    )


def held():
    return len(list(Path("/proc/self/fd").iterdir())), sorted(Path("/dev/shm").iterdir())


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def test_child_is_the_same_as_in_process(decoder, clip):
    here = read_video(clip, RECIPE, LIMITS)
    assert same(decoder.read_video(clip, RECIPE), here)
    assert same(decoder.read_video(clip.read_bytes(), RECIPE), here)
    recipe = replace(RECIPE, motion=False, frames_per_s=3.0)
    part = decoder.read_video(clip, recipe, start_s=1.0, end_s=2.5)
    assert same(part, read_video(clip, recipe, LIMITS, start_s=1.0, end_s=2.5))
    assert not part.frames.flags.writeable


@pytest.mark.parametrize(
    "name",
    [
        "torchcodec/nasa_13013.mp4",
        "torchcodec/av1_video.mkv",
        "media/mp4/dolbyVision-hdr.MOV",
        "media/mp4/sample_vvc.mp4",
        "sample-videos/preview/classroom.gif",
        "made/truncated_half.mkv",
    ],
)
def test_child_is_the_same_on_real_files(decoder, shared_data, name):
    path = shared_data / "video" / name
    assert same(decoder.read_video(path, RECIPE), read_video(path, RECIPE, LIMITS))


@pytest.mark.parametrize(
    "source", [b"", b"Call me Ishmael.", b"\0\0\0\x18ftypisom\0\0", bytes(range(256)) * 50]
)
def test_errors_are_those_of_the_process_itself(decoder, source):
    with pytest.raises(errors.MediaError) as here:
        read_video(source, RECIPE, LIMITS)
    with pytest.raises(errors.MediaError) as there:
        decoder.read_video(source, RECIPE)
    assert (there.type, str(there.value)) == (here.type, str(here.value))


def test_bad_options_cross_too(decoder, clip):
    with pytest.raises(errors.BadOptions, match="start_s"):
        decoder.read_video(clip, RECIPE, start_s=100.0)


@pytest.mark.parametrize(
    "limits",
    [{"max_cpu_s": 0.005}, {"max_wall_s": 0.02}, {"max_memory_bytes": 4 * 1024**2}],
    ids=["cpu", "wall", "memory"],
)
def test_limits_end_a_child_and_nothing_else(costly, clip, limits):
    with Decoder(replace(LIMITS, **limits)) as strict:
        for _ in range(2):
            with pytest.raises(errors.VideoTooCostly, match="proxy"):
                strict.read_video(costly, replace(RECIPE, frame_side_px=640))


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGSEGV, errors.CannotDecode),
        (signal.SIGABRT, errors.CannotDecode),
        (signal.SIGKILL, errors.VideoTooCostly),
    ],
)
def test_a_child_that_is_killed(costly, number, error, decoding):
    with Decoder(LIMITS) as decoder, ThreadPoolExecutor(1) as pool:
        decoder.read_video(costly, RECIPE, end_s=0.04)  # the fork server is up
        server = decoding.server()
        wait_until(lambda: not decoding.at_work(server))
        working = pool.submit(decoder.read_video, costly, RECIPE)
        wait_until(lambda: decoding.at_work(server))
        os.kill(decoding.at_work(server)[0], number)
        with pytest.raises(error):
            working.result(30)
        assert len(decoder.read_video(costly, RECIPE, end_s=0.04).motion) == 1


def test_a_fork_server_that_is_killed_is_started_again(clip, decoding):
    with Decoder(LIMITS) as decoder:
        first = decoder.read_video(clip, RECIPE)
        for _ in range(2):
            os.kill(decoding.server(), signal.SIGKILL)
            assert same(decoder.read_video(clip, RECIPE), first)


def test_killing_the_fork_server_in_the_middle_fails_no_request(costly, decoding):
    with Decoder(LIMITS) as decoder, ThreadPoolExecutor(4) as pool:
        expected = decoder.read_video(costly, RECIPE)
        server = decoding.server()
        reading = [pool.submit(decoder.read_video, costly, RECIPE) for _ in range(4)]
        wait_until(lambda: decoding.at_work(server))
        orphans = decoding.at_work(server)
        os.kill(orphans[0], signal.SIGSTOP)  # it would never end by itself
        os.kill(server, signal.SIGKILL)
        assert all(same(answer.result(60), expected) for answer in reading)
        wait_until(lambda: not any(map(decoding.running, orphans)))


def test_a_child_that_nobody_waits_for_is_killed(costly, decoding):
    left, first = threading.Event(), contextvars.ContextVar("first", default=False)

    def unwanted():
        return left.is_set() and first.get()  # asked in the thread that waits

    def begin():
        first.set(True)
        return decoder.read_video(costly, RECIPE)

    with Decoder(LIMITS, unwanted=unwanted) as decoder, ThreadPoolExecutor(2) as pool:
        decoder.read_video(costly, RECIPE, end_s=0.04)
        server = decoding.server()
        wait_until(lambda: not decoding.at_work(server))
        working = pool.submit(contextvars.copy_context().run, begin)
        wait_until(lambda: decoding.at_work(server))
        (child,) = decoding.at_work(server)
        os.kill(child, signal.SIGSTOP)  # it would never end by itself
        other = pool.submit(decoder.read_video, costly, RECIPE)
        left.set()
        with pytest.raises(Unwanted):
            working.result(5)
        wait_until(lambda: not decoding.running(child))
        assert other.result(30).frames.size  # and no other is


def test_nothing_is_left_of_a_service_that_was_killed(costly, decoding):
    script = (
        "import threading, time\n"
        + SCRIPT.replace(
            "with Decoder(VideoLimits()) as decoder:", "decoder = Decoder(VideoLimits())\nif True:"
        )
    ).format(path=str(costly))
    service = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    wait_until(lambda: any(map(decoding.at_work, decoding.children(service.pid))))
    (server,) = decoding.children(service.pid)
    (child,) = decoding.at_work(server)
    os.kill(child, signal.SIGSTOP)
    service.kill()
    service.wait()
    wait_until(lambda: not decoding.running(child) and not decoding.running(server))


def test_children_that_somebody_waits_for_end_before_the_fork_server(costly, decoding):
    decoder = Decoder(LIMITS)
    decoder.read_video(costly, RECIPE, end_s=0.04)
    server = decoding.server()
    wait_until(lambda: not decoding.at_work(server))
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(decoder.read_video, costly, RECIPE)
        wait_until(lambda: decoding.at_work(server))
        decoder.close()
        assert working.result(1).frames.size


@pytest.mark.parametrize("said", [b"", b"-9", b"-99999", b"1", b"root:x:0:0", b"[]", b"{", b"{}"])
def test_whatever_a_conquered_child_says_is_an_error_of_its_video(clip, said, monkeypatch, decoding):
    with Decoder(LIMITS) as decoder:
        decoder.read_video(clip, RECIPE, end_s=0.1)
        server = decoding.server()
        with monkeypatch.context() as patched:
            patched.setattr(decoder, "_wait", lambda *_: said)
            with pytest.raises((errors.CannotDecode, errors.VideoTooCostly)):
                decoder.read_video(clip, RECIPE)
        assert decoding.server() == server  # it is not taken for dead either
        assert decoder.read_video(clip, RECIPE).frames.size


def test_a_fork_server_that_cannot_live_is_a_fault_of_ours_not_of_the_video(clip, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Decoder(LIMITS) as decoder, pytest.raises(errors.DecoderLost, match="log"):
        decoder.read_video(clip, RECIPE)


def test_many_threads_at_once_and_nothing_left_behind(decoder, clip, decoding):
    expected = decoder.read_video(clip, RECIPE)
    gc.collect()
    before = held()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: decoder.read_video(clip, RECIPE), range(24)))
    assert all(same(answer, expected) for answer in answers)
    del answers
    gc.collect()
    assert held() == before
    wait_until(lambda: not decoding.at_work(decoding.server()))
    wait_until(lambda: len(decoding.spares(decoding.server())) == 1)


def test_a_child_is_there_ahead_of_its_video_and_holds_nothing_of_others(costly, decoding):
    with Decoder(LIMITS) as decoder, ThreadPoolExecutor(2) as pool:
        decoder.read_video(costly, RECIPE, end_s=0.04)
        server = decoding.server()
        wait_until(lambda: not decoding.at_work(server) and decoding.spares(server))
        (first,) = decoding.spares(server)
        working = [pool.submit(decoder.read_video, costly, RECIPE)]
        wait_until(lambda: decoding.at_work(server) == [first])
        os.kill(first, signal.SIGSTOP)
        wait_until(lambda: decoding.spares(server))
        (second,) = decoding.spares(server)
        own = Path(f"/proc/{second}")
        wait_until(lambda: len(list((own / "fd").iterdir())) == 4)  # the standard ones, and for its job
        # Its filter will hold for the thread that asks for it, so there must be no other.
        wait_until(lambda: len(list((own / "task").iterdir())) == 1)
        working.append(pool.submit(decoder.read_video, costly, RECIPE))
        assert working[1].result(30).frames.size
        os.kill(first, signal.SIGCONT)
        assert same(working[0].result(30), working[1].result())


def test_where_no_child_can_be_started_the_others_go_on(costly, clip, decoding):
    """Short of descriptors here; short of processes or memory, the same error comes of the same call."""
    with Decoder(LIMITS) as decoder, ThreadPoolExecutor(1) as pool:
        decoder.read_video(clip, RECIPE, end_s=0.1)
        server = decoding.server()
        wait_until(lambda: not decoding.at_work(server) and decoding.spares(server))
        working = pool.submit(decoder.read_video, costly, RECIPE)
        wait_until(lambda: decoding.at_work(server) and decoding.spares(server))
        (child,), (spare,) = decoding.at_work(server), decoding.spares(server)
        os.kill(child, signal.SIGSTOP)  # it would be done too soon
        try:
            os.kill(spare, signal.SIGKILL)
            wait_until(lambda: not decoding.running(spare))
            before = resource.prlimit(server, resource.RLIMIT_NOFILE)
            used = {int(each.name) for each in Path(f"/proc/{server}/fd").iterdir()}
            third = [number for number in range(1000) if number not in used][2]  # a job brings three
            resource.prlimit(server, resource.RLIMIT_NOFILE, (third + 1, before[1]))
            with pytest.raises(errors.DecoderLost, match="no decoding process"):
                decoder.read_video(clip, RECIPE)
            resource.prlimit(server, resource.RLIMIT_NOFILE, before)
            assert decoder.read_video(clip, RECIPE).frames.size
        finally:
            os.kill(child, signal.SIGCONT)
        assert working.result(30).frames.size
        assert decoding.server() == server


def test_a_spare_child_that_is_killed_costs_no_video(clip, decoding):
    with Decoder(LIMITS) as decoder:
        first = decoder.read_video(clip, RECIPE)
        server = decoding.server()
        for _ in range(3):
            wait_until(lambda: not decoding.at_work(server) and decoding.spares(server))
            (spare,) = decoding.spares(server)
            os.kill(spare, signal.SIGKILL)
            wait_until(lambda pid=spare: not decoding.running(pid))
            assert same(decoder.read_video(clip, RECIPE), first)
        assert decoding.server() == server
        wait_until(lambda: decoding.spares(server))
        (spare,) = decoding.spares(server)
    assert not Path(f"/proc/{spare}").exists()


def test_closing_twice_and_reading_again(clip, decoding):
    decoder = Decoder(LIMITS)
    decoder.close()
    decoder.close()
    assert decoder.read_video(clip, RECIPE).info.codec == "h264"
    server = decoding.server()
    decoder.close()
    assert not Path(f"/proc/{server}").exists()


def test_two_decoders_do_not_share_their_limits(clip):
    with Decoder(replace(LIMITS, max_duration_s=1.0)) as strict, Decoder(LIMITS) as usual:
        assert usual.read_video(clip, RECIPE).frames.size
        with pytest.raises(errors.VideoTooLong):
            strict.read_video(clip, RECIPE)


SCRIPT = """
from pathlib import Path
from model.media.child import Decoder
from model.media.streams import VideoLimits, VideoRecipe
with Decoder(VideoLimits()) as decoder:
    print(len(decoder.read_video(Path({path!r}), VideoRecipe()).motion))
"""


@pytest.mark.parametrize("how", ["-c", "-"])
def test_works_where_main_cannot_be_imported(clip, how, tmp_path):
    script = SCRIPT.format(path=str(clip))
    given = {"input": script} if how == "-" else {}
    command = [sys.executable, "-W", "error", how, *([script] if how == "-c" else [])]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False, **given
    )
    assert (done.stdout, done.stderr) == ("125\n", "")


def test_works_after_the_owner_forked(clip):
    """A server that forks its workers after it made the decoder."""
    script = SCRIPT.replace(
        "with Decoder(VideoLimits()) as decoder:", "decoder = Decoder(VideoLimits())\nif True:"
    )
    script = (
        "import os\n"
        + script.format(path=str(clip)).replace("    print", "    os.fork()\n    print")
        + "decoder.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "125\n125\n"


def test_confined_process_opens_nothing():
    script = """
import os, socket
from model.media.sandbox import confine
from model.media.streams import VideoLimits
kept, other = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
confine(VideoLimits(), [kept])
os.read(kept, 1)
for attempt in (
    lambda: os.read(other, 1),
    lambda: open("/etc/hostname"),
    socket.socket,
    lambda: bytearray(3 * 1024**3),
):
    try:
        attempt()
    except (OSError, MemoryError) as error:
        print(type(error).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["OSError", "OSError", "OSError", "MemoryError"]


def test_a_child_that_lies_is_not_believed(clip):
    streams = read_video(clip, RECIPE, LIMITS)
    memory = os.memfd_create("test")
    try:
        honest = json.loads(pack_streams(streams, memory))
        assert same(unpack_answer(json.dumps(honest).encode(), memory), streams)
        for shape in ([10**6, 90, 160, 3], [-1, 90, 160, 3], [6, 90, 160], [2**62, 4, 1, 1], None, ["x"] * 4):
            lie = honest | {"shapes": honest["shapes"] | {"frames": shape}}
            with pytest.raises(errors.CannotDecode):
                unpack_answer(json.dumps(lie).encode(), memory)
        for message in (b"{", b"{}", b'{"error": "no_such_code", "message": ""}', b'{"shapes": 3}'):
            with pytest.raises(errors.CannotDecode):
                unpack_answer(message, memory)
    finally:
        os.close(memory)


def test_damaged_bytes_give_streams_or_a_typed_error(decoder, clip):
    whole, rng = clip.read_bytes(), np.random.default_rng(8)
    for _ in range(25):
        damaged = np.frombuffer(whole, np.uint8).copy()
        where = rng.integers(0, len(whole), int(rng.integers(1, 200)))
        damaged[where] = rng.integers(0, 256, len(where))
        with suppress(errors.MediaError):
            assert decoder.read_video(damaged.tobytes()[: rng.integers(1, len(whole))], RECIPE).frames.size


def test_waiting_for_a_child_lets_other_threads_run(decoder, costly):
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks.append(1)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(tick)
        decoder.read_video(costly, RECIPE)
        stop.set()
    assert len(ticks) > 5


@pytest.mark.parametrize("size_bytes", [0, 1, 5_000_001])
def test_pictures_that_the_kernel_cannot_seal_are_copied(size_bytes: int) -> None:
    data = np.random.default_rng(size_bytes).bytes(size_bytes)
    memory = os.memfd_create("pictures", os.MFD_ALLOW_SEALING)
    os.pwrite(memory, data, 0)
    os.ftruncate(memory, max(1, size_bytes))
    # a writable map makes sealing fail as pages in use do: EBUSY
    with mmap.mmap(memory, 0) as held, _settled(memory) as settled:
        held[:1] = bytes([(data[0] if data else 0) ^ 255])  # what a hostile child would do
        assert os.pread(settled, size_bytes, 0) == data
        assert os.fstat(settled).st_size == max(1, size_bytes)
    os.close(memory)


def test_pictures_that_can_be_sealed_are_not_copied() -> None:
    memory = os.memfd_create("pictures", os.MFD_ALLOW_SEALING)
    os.pwrite(memory, b"x", 0)
    with _settled(memory) as settled:
        assert settled == memory
    with pytest.raises(PermissionError):
        os.pwrite(memory, b"y", 0)
    os.close(memory)
