"""Read off malloc itself: how many heaps there are once many threads have allocated side by side."""

import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes, sys, threading
import numpy as np
from service.processes.heap import one_heap
if sys.argv[1] == "one":
    one_heap()
meet = threading.Barrier(8)
def allocate():
    meet.wait()
    kept = [np.ones(1000) for _ in range(1000)]
    meet.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for one in threads:
    one.start()
for one in threads:
    one.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
def test_threads_share_one_heap() -> None:
    heaps = {}
    for name in ("one", "many"):
        command = [sys.executable, "-c", THREADS, name]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        heaps[name] = told.count("<heap nr=")
    assert heaps["one"] == 1 < heaps["many"]
