"""A list of system calls in, a filter that lets a decoder make these and no others out (Linux, seccomp-BPF).

What a decoder does once its file is open: read that file, take and give back memory, run threads, look at a
clock, send one answer. Every other call fails with EPERM: no file, socket or process can be made, no other
process signalled or traced, no memory made executable. A list of what is allowed, since nobody knows all
that a kernel will ever offer.
"""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_NAME = 38, 22, 15
_MODE_FILTER = 2
_ALLOW, _REFUSE, _UNKNOWN, _KILL = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06  # BPF: word at k, A & k, jump if A == k, return k
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_2 = 0, 4, 16, 32  # offsets; low words, both are little-endian
_CLONE_THREAD, _PROT_EXEC = 0x10000, 4

# Names as in the kernel's tables; the two numbers are of x86_64 and aarch64.
_FREE = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigprocmask": (14, 135),  # pthread_create asks; SIGKILL and the service's own patience stay
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "sendto": (44, 206),  # of the answer, on the socket that is there
    "exit": (60, 93),
    "uname": (63, 160),
    "ftruncate": (77, 46),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "set_robust_list": (273, 99),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
_MMAP, _MPROTECT, _CLONE, _PRCTL, _CLONE3 = (9, 222), (10, 226), (56, 220), (157, 167), (435, 435)
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class Filter:
    """Ready to be put in force; made once, before a fork, since looking up libraries opens files."""

    program: bytes
    libc: ctypes.CDLL

    def enforce(self) -> None:
        """Confine this process, for good, and all threads that it starts from here on; raises OSError."""
        holder = _Program(len(self.program) // 8, self.program)
        zero = ctypes.c_ulong(0)
        for arguments in (
            (PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero),
            (PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(holder), zero, zero),
        ):
            if self.libc.prctl(*arguments):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def decoder_filter(machine: str = "") -> Filter | None:
    """The filter for a processor's kernel, None where its numbers of calls are not known here.

    Args:
        machine: as `uname -m` says it; empty for this one.
    """
    known = _ARCHITECTURES.get(machine or os.uname().machine)
    if known is None:
        return None
    return Filter(assemble(*known), ctypes.CDLL(None, use_errno=True))


def assemble(architecture: int, column: int) -> bytes:
    """The program, 8 bytes an instruction: the call's table first, then one test after another."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),  # another table of numbers (32 bits): no decoder changes it on its way
        (_LOAD, 0, 0, _NUMBER),
    ]
    for numbers in _FREE.values():
        program += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ALLOW)]
    for numbers in (_MMAP, _MPROTECT):
        program += _where(numbers[column], _ARGUMENT_2, _PROT_EXEC, 0)
    program += _where(_CLONE[column], _ARGUMENT_0, _CLONE_THREAD, _CLONE_THREAD)
    program += _where(_PRCTL[column], _ARGUMENT_0, 0xFFFFFFFF, PR_SET_NAME)
    # Its flags lie in memory, where a filter cannot look; glibc goes on with clone.
    program += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _UNKNOWN), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _where(number: int, argument: int, mask: int, wanted: int) -> list[Instruction]:
    """Allow a call if `argument & mask == wanted`, refuse it otherwise; on with the program for others."""
    return [
        (_EQUAL, 0, 5, number),
        (_LOAD, 0, 0, argument),
        (_AND, 0, 0, mask),
        (_EQUAL, 0, 1, wanted),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
