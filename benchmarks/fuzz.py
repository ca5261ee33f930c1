"""Does the service survive broken media: no crash, no hang, no other answer than it promises, nothing left?

A store and a folder of real media in, a Markdown row out: so many mutants of these files are posted to a
server, and whatever it must not do is listed with the seed that makes the same mutant again; then the exit
status is 1.
"""

import argparse
import http.client
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fleet import children, is_confined
from mutants import mutant, sources
from rows import Server, serve, table

PROMISED = {200, 413, 415, 422}
DEADLINE_S = 60.0
LATE_S = 10.0  # beyond the deadline: to stop what runs, on a busy machine
WARM_ROUNDS = 3  # of all real files: buffers grow to what the largest needs, and stay
GROWN = 1.05  # memory at the end over that after these
SPARE_MB = 8.0  # of it that no process gives back at once
SETTLED_S = 10.0
PAUSE_S = 1.2


@dataclass(frozen=True, slots=True)
class Answered:
    """One mutant."""

    seed: int
    status: int  # 0 where there was no answer
    code: str
    seconds: float

    def fault(self) -> str:
        """What it must not have done; empty if nothing."""
        if self.status not in PROMISED:
            return f"seed {self.seed}: {self.status} {self.code}"
        if self.seconds > DEADLINE_S + LATE_S:
            return f"seed {self.seed}: {self.seconds:.0f} s"
        return ""


@dataclass(frozen=True, slots=True)
class Held:
    """What a server has of its machine."""

    descriptors: int
    processes: frozenset[int]
    files: int
    memory_mb: float


def post(server: Server, seed: int, body: bytes) -> Answered:
    """The answer's status and code, or why there is none."""
    began_s = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=4 * DEADLINE_S)
    with closing(connection):
        try:
            connection.request("POST", "/v1/recommend", body, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            status, said = response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            status, said = 0, {"code": repr(error)}
    return Answered(seed, status, said.get("code", "answered"), time.perf_counter() - began_s)


def held(server: Server, temporary: Path) -> Held:
    """Of the server and all its children; the decoder that waits for a video is another after each."""
    lasting = [server.process, *children(server.process)]
    at_work = [one for fork_server in lasting[1:] for one in children(fork_server) if is_confined(one)]
    descriptors = sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in server.family())
    files = len(list(temporary.iterdir()))
    return Held(descriptors, frozenset([*lasting, *at_work]), files, server.memory_mb()[0])


def settled(server: Server, temporary: Path) -> Held:
    """Memory is given back when work ends, at most once a second: so after one more small request."""
    time.sleep(PAUSE_S)
    post(server, -1, b"no video")
    time.sleep(PAUSE_S)
    return held(server, temporary)


def left_behind(server: Server, temporary: Path, before: Held) -> list[str]:
    """What is there that was not there before, once all has had time to end."""
    until_s = time.monotonic() + SETTLED_S
    while (faults := list(_more(before, settled(server, temporary)))) and time.monotonic() < until_s:
        continue
    return faults


def _more(before: Held, after: Held) -> Iterator[str]:
    if after.processes != before.processes:
        yield f"processes {sorted(before.processes)} before, {sorted(after.processes)} after"
    if after.descriptors > before.descriptors:
        yield f"{before.descriptors} descriptors before, {after.descriptors} after"
    if after.files > before.files:
        yield f"{after.files} temporary files"
    if after.memory_mb > before.memory_mb * GROWN + SPARE_MB:
        yield f"{before.memory_mb:.0f} MB before, {after.memory_mb:.0f} MB after"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Where the server's temporary files would be."""
    with TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        yield Path(folder)


def main() -> int:
    """Print the table and every fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store with a current snapshot")
    parser.add_argument("media", type=Path, help="a folder of real files")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first mutant")
    parser.add_argument("--in-flight", type=int, default=4)
    given = parser.parse_args()
    whole = sources(given.media)
    os.environ["YUYIN_DEADLINE_S"] = str(DEADLINE_S)
    with own_folder() as temporary, serve(given.store) as server, ThreadPoolExecutor(given.in_flight) as pool:

        def ask(seed: int) -> Answered:
            return post(server, seed, mutant(whole, seed))

        seeds = range(given.first, given.first + given.files)
        for _ in range(WARM_ROUNDS):
            list(pool.map(lambda body: post(server, -1, body), whole))
        before = settled(server, temporary)
        answers = list(pool.map(ask, seeds))
        faults = [fault for answer in answers if (fault := answer.fault())]
        faults += [] if post(server, -1, whole[0]).status in PROMISED else ["it does not answer any more"]
        faults += left_behind(server, temporary, before)
        memory_mb = server.memory_mb()[0]
    codes = Counter(answer.code for answer in answers)
    counted = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    slowest_s = max(answer.seconds for answer in answers)
    cells = [str(given.files), counted, f"{slowest_s:.1f}", f"{before.memory_mb:.0f}", f"{memory_mb:.0f}"]
    columns = ["mutants", "answers", "slowest, s", "warm, MB", "at the end, MB", "faults"]
    table(columns, [[*cells, f"**{len(faults)}**"]])
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
