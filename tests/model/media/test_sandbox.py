"""What a confined process can still do: tried in it, by Python code in the place of a conquered decoder."""

import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from model.media import seccomp
from model.media.child import Decoder
from model.media.seccomp import assemble, decoder_filter
from model.media.streams import VideoLimits

PREPARED = """
import ctypes, mmap, os, resource, signal, socket, sys, threading, time
from model.media.sandbox import attempts, confine, leave_network
from model.media.seccomp import decoder_filter
from model.media.streams import VideoLimits
libc = ctypes.CDLL(None, use_errno=True)
kept = os.memfd_create("kept")
def tried(attempt):
    try:
        found = attempt()
    except (OSError, MemoryError, ValueError, RuntimeError) as error:
        return type(error).__name__
    return "refused" if found == -1 else "done"
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""
CONFINED = "confine(VideoLimits(), [kept], decoder_filter(), 'require')\n"


def run(script: str, *arguments: str, code: int = 0) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", PREPARED + script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines()


ESCAPES = {
    "fork": "os.fork()",
    "vfork": "libc.vfork()",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "exec": "os.execv('/bin/true', ['true'])",
    "read a file": "os.open('/etc/passwd', os.O_RDONLY)",
    "write a file": "os.open(folder + '/escaped', os.O_WRONLY | os.O_CREAT)",
    "make a folder": "os.mkdir(folder + '/escaped')",
    "rename": "os.rename(folder + '/there', folder + '/gone')",
    "remove": "os.unlink(folder + '/there')",
    "list a folder": "os.listdir('/')",
    "look whether a file exists": "os.stat('/etc/passwd')",
    "internet": "socket.socket()",
    "unix socket": "socket.socket(socket.AF_UNIX)",
    "pair of sockets": "socket.socketpair()",
    "pipe": "os.pipe()",
    "file in memory": "os.memfd_create('more')",
    "signal the parent": "libc.kill(os.getpid() - 1, 0)",
    "trace": "libc.ptrace(16, os.getpid() - 1, 0, 0)",
    "memory to run code from": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "memory made to run code": "libc.mprotect(ctypes.c_void_p(page), 4096, 5)",
    "a namespace": "libc.unshare(0x10000000)",
    "become dumpable": "libc.prctl(4, 1, 0, 0, 0)",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))",
    "put off the alarm": "signal.setitimer(signal.ITIMER_REAL, 0)",
    "ignore the alarm": "libc.signal(14, 1)",
    "another user": "os.setuid(1000)",
    "a new root": "os.chroot('/')",
    "kernel keys": "libc.syscall(250, 0, 0, 0, 0)",
    "kernel programs": "libc.syscall(321, 0, 0, 0)",
    "io_uring": "libc.syscall(425, 1, 0)",
}


def test_no_escape_from_a_confined_process(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    lines = "".join(f"say({name!r}, '=', tried(lambda: {code}))\n" for name, code in ESCAPES.items())
    prepared = "folder, own = sys.argv[1], ctypes.c_char.from_buffer(mmap.mmap(-1, 4096))\n"
    prepared += "page = ctypes.addressof(own)\n"
    said = dict(line.split(" = ") for line in run(prepared + CONFINED + lines, str(tmp_path)))
    assert said.keys() == ESCAPES.keys()
    assert {name for name, result in said.items() if result == "done"} == set()
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_same_attempts_succeed_outside() -> None:
    """Else the test above would show nothing: those that an ordinary user's process can make."""
    possible = ["read a file", "look whether a file exists", "internet", "pipe", "list a folder"]
    lines = "".join(f"say(tried(lambda: {ESCAPES[name]}))\n" for name in possible)
    assert run(lines) == ["done"] * len(possible)
    assert run("say(attempts())") == [
        "('open a file', 'open a socket', 'start a process', 'signal a process')"
    ]


def test_what_a_decoder_needs_is_left() -> None:
    lines = """
found = []
worker = threading.Thread(target=lambda: found.append(bytearray(50_000_000)[-1]))
worker.start(); worker.join()
say(found, os.pwrite(kept, b'x' * 10, 0), os.pread(kept, 4, 0), os.ftruncate(kept, 2))
say(attempts())
"""
    assert run(CONFINED + lines) == ["[0] 10 b'xxxx' None", "()"]


def test_without_a_filter_the_limits_still_hold_files_and_sockets() -> None:
    said = run("confine(VideoLimits(), [kept], None)\nsay(attempts())")
    assert said == ["('start a process', 'signal a process')"]


@pytest.mark.parametrize("calls", ["None", "seccomp.Filter(bytes(8), ctypes.CDLL(None, use_errno=True))"])
def test_a_filter_that_is_required_and_missing_stops_everything(calls: str) -> None:
    script = (
        "from model.media import seccomp\nfrom model.errors import NoSandbox\n"
        f"calls = {calls}\n"
        "try:\n    say(confine(VideoLimits(), [kept], calls, sys.argv[1]))\n"
        "except NoSandbox as error:\n    say(error)\n"
    )
    assert "YUYIN_SANDBOX=prefer" in run(script, "require")[0]
    assert run(script, "prefer") == ["False"]


def test_memory_bombs_and_cpu_bombs_end_there() -> None:
    small = "VideoLimits(max_memory_bytes=100_000_000, max_cpu_s=0.2, max_wall_s=20)"
    confined = f"confine({small}, [kept], decoder_filter(), 'require')\n"
    assert run(confined + "say(tried(lambda: bytearray(200_000_000)))") == ["MemoryError"]
    run(confined + "while True: pass", code=-27)  # SIGPROF
    limited = confined.replace("max_wall_s=20", "max_wall_s=0.2")
    run(limited + "time.sleep(30)", code=-14)  # SIGALRM
    size = "100_000_001"
    run(confined + f"os.pwrite(kept, b'x', {size})", code=-25)  # SIGXFSZ


def test_the_network_is_left_where_that_is_allowed() -> None:
    script = """
left = leave_network()
said = tried(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close())
say(left, said)
"""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        left, said = run(script, str(listening.getsockname()[1]))[0].split()
        assert (left, said) in {("True", "OSError"), ("False", "done")}


def test_a_decoder_says_what_holds() -> None:
    with Decoder(VideoLimits(), sandbox="require") as decoder:
        guards = decoder.guards()
    assert (guards.calls_filtered, guards.possible) == (True, ())


def test_no_filter_on_a_processor_whose_calls_are_unknown() -> None:
    assert decoder_filter("riscv64") is None
    assert decoder_filter("x86_64") is not None


# --- the program itself, run by an interpreter of the few instructions that it uses


def verdict(program: bytes, architecture: int, number: int, arguments: tuple[int, ...] = (0,) * 6) -> int:
    data = struct.pack("=iIQ6Q", number, architecture, 0, *arguments)
    instructions = list(struct.iter_unpack("=HBBI", program))
    at, accumulator = 0, 0
    while True:
        code, yes, no, k = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, k)
            case 0x54:
                accumulator &= k
            case 0x15:
                at += yes if accumulator == k else no
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(hex(code))


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x80000000
HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


def numbers_of(header: str) -> dict[str, int]:
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text())
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_says_yes_to_these_calls_and_to_no_others(machine: str) -> None:
    architecture, column = seccomp._ARCHITECTURES[machine]
    program = assemble(architecture, column)
    free = {numbers[column] for numbers in seccomp._FREE.values()}
    mmap, mprotect, clone, prctl, clone3 = (
        numbers[column]
        for numbers in (
            seccomp._MMAP,
            seccomp._MPROTECT,
            seccomp._CLONE,
            seccomp._PRCTL,
            seccomp._CLONE3,
        )
    )
    by_argument = {mmap, mprotect}  # without PROT_EXEC, as all zeros are
    for number in range(2048):
        wanted = ALLOW if number in free | by_argument else ENOSYS if number == clone3 else EPERM
        assert verdict(program, architecture, number) == wanted, number
        assert verdict(program, architecture, number | 0x40000000) == EPERM  # the x32 table
        assert verdict(program, architecture ^ 1, number) == KILL
    for number in (mmap, mprotect):
        assert verdict(program, architecture, number, (0, 0, 3, 0, 0, 0)) == ALLOW
        assert verdict(program, architecture, number, (0, 0, 7, 0, 0, 0)) == EPERM
    assert verdict(program, architecture, clone, (0x3D0F00, 0, 0, 0, 0, 0)) == ALLOW  # as pthread_create does
    assert verdict(program, architecture, clone, (0x11, 0, 0, 0, 0, 0)) == EPERM  # as fork does
    assert verdict(program, architecture, prctl, (15, 0, 0, 0, 0, 0)) == ALLOW


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_numbers_are_those_of_the_kernel(machine: str) -> None:
    if not Path(HEADERS[machine]).exists():
        pytest.skip("no kernel headers here: apt-get install linux-libc-dev")
    known, column = numbers_of(HEADERS[machine]), seccomp._ARCHITECTURES[machine][1]
    special = ("mmap", "mprotect", "clone", "prctl", "clone3")
    table = dict(seccomp._FREE) | {name: getattr(seccomp, f"_{name.upper()}") for name in special}
    assert {name: numbers[column] for name, numbers in table.items()} == {name: known[name] for name in table}
