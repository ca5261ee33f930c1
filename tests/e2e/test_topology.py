"""What docker/compose.scale.yaml deploys, as plain processes: nginx with its own file, replicas, a worker."""

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from service.edge.keys import new_key

CONF = (Path(__file__).parents[2] / "docker" / "nginx.conf").read_text("utf-8")
FOLLOWED_S = 2.0
ALL = "/v1/recommend?options=%7B%22top_k%22:100%7D"
WITHDRAWN_S = 1.0  # design section 6: in force on all replicas within a second
LATEST_S = 5.0  # of any: two threads call at full speed, and the machine has other work
ADMIN, RECOMMEND = new_key(), new_key()
KEYS = {
    "boss": {"sha256": ADMIN[1], "scopes": ["admin", "catalogue", "recommend"]},
    "editor": {"sha256": RECOMMEND[1], "scopes": ["recommend"]},
}
BOSS, EDITOR = {"X-API-Key": ADMIN[0]}, {"X-API-Key": RECOMMEND[0]}


@pytest.fixture
def fleet(benchmark_module: Any) -> Any:
    return benchmark_module("fleet")


class Deployment:
    """Two replicas on ports of their own, and what stands in front of them."""

    def __init__(self, fleet: Any, running: Any, stock: Any, folder: Path) -> None:
        self.fleet, self.running, self.stock = fleet, running, stock
        self.replicas = [running.serve() for _ in range(2)]
        running.start_worker().said("the worker waits for jobs")
        self.front = fleet.free_port()
        conf = CONF.replace("/tmp/", f"{folder}/").replace("listen 8080", f"listen 127.0.0.1:{self.front}")
        for address, port in zip(
            re.findall(r"server ([\d.]+:\d+) max_fails", CONF), self.replicas, strict=True
        ):
            conf = conf.replace(address, f"127.0.0.1:{port}")
        (folder / "nginx.conf").write_text(conf)
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        words = [program, "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", "daemon off; user root;"]
        self.nginx = fleet.Program(words, folder / "nginx.log")

    def ask(self, path: str, body: Any = None, *, port: int | None = None, **given: Any) -> Any:
        return self.fleet.ask(port or self.front, path, body, **{"headers": BOSS} | given)

    def in_force(self) -> list[str]:
        """What each replica answers from."""
        return [self.ask("/version", port=port).json["snapshot"] for port in self.replicas]

    def followed(self, snapshot: str) -> float:
        return float(self.fleet.wait_until(lambda: set(self.in_force()) == {snapshot}, 10, snapshot))


@pytest.fixture
def deployment(fleet: Any, tmp_path: Path) -> Iterator[Deployment]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine: apt-get install redis-server")
    if not (shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")):
        pytest.skip("no nginx on this machine: apt-get install nginx-light")
    stock = fleet.make_stock(tmp_path)
    settings = {"YUYIN_KEYS": json.dumps(KEYS), "YUYIN_RATE_PER_S": "0"}
    with fleet.fleet(tmp_path, stock, **settings) as running:
        made = Deployment(fleet, running, stock, tmp_path)
        try:
            fleet.wait_until(lambda: fleet.ready(made.front), about=made.nginx.log)
            yield made
        finally:
            made.nginx.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_replicas_behind_nginx_are_one_service(deployment: Deployment, clip_bytes: bytes) -> None:
    brass, strings = (deployment.stock.snapshots[name] for name in ("brass", "strings"))
    answers: list[Any] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            answers.append(deployment.ask(ALL, clip_bytes, headers=EDITOR))
            time.sleep(0.02)

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert deployment.in_force() == [strings, strings]
        job = reindexed(deployment)
        assert job["state"] == "done"
        assert deployment.followed(brass) < FOLLOWED_S
        assert deployment.ask(f"/admin/snapshots/{strings}/activate", {}).status == 200
        assert deployment.followed(strings) < FOLLOWED_S
        withdrawn_everywhere(deployment, clip_bytes)
        renewed(deployment)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [one.body for one in answers if one.status != 200] == []
    by_snapshot = {one.json["snapshot"] for one in answers}
    assert by_snapshot == {brass, strings}
    pools = {brass: "brass", strings: "strings"}
    for one in answers:
        body = one.json
        assert {result["track_id"].split("-")[0] for result in body["results"]} == {pools[body["snapshot"]]}

    assert deployment.ask("/admin/snapshots", headers=EDITOR).status == 403
    assert deployment.ask("/admin/snapshots", headers={}).status == 401
    assert deployment.ask("/metrics").status == 404
    assert deployment.ask("/v1/tracks", b"x" * 2_000_000, method="PUT").status == 413  # by nginx itself


def reindexed(deployment: Deployment) -> Any:
    """Follow a reindex to its end through nginx; a second connection begins where the first was cut off."""
    answer = deployment.ask("/admin/reindex", {"pool": "brass", "recompute": True})
    assert answer.status == 202, answer.body
    place = f"{answer.headers['location']}/events"
    first = next(events(deployment.front, place))
    assert first["state"] in ("queued", "running")
    told = list(events(deployment.front, place, first["version"]))
    versions = [job["version"] for job in told]
    assert first["version"] < versions[0]
    assert versions == sorted(set(versions))
    with closing(HTTPConnection("127.0.0.1", deployment.front, timeout=30)) as connection:
        connection.request("GET", place, headers=BOSS | {"Last-Event-ID": str(versions[-1])})
        assert connection.getresponse().status == 204  # nothing left to tell
    return told[-1]


def events(port: int, place: str, seen: int | None = None) -> Iterator[Any]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        after = {} if seen is None else {"Last-Event-ID": str(seen)}
        connection.request("GET", place, headers=BOSS | after)
        answer = connection.getresponse()
        assert answer.status == 200
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def withdrawn_everywhere(deployment: Deployment, clip: bytes) -> None:
    """PATCHes through nginx; from a second later on, no replica returns the track: the middle one of them."""
    tracks = [f"strings-{i}" for i in range(3)]
    before = [returned(deployment, port, clip) for port in deployment.replicas]
    assert all(found.issuperset(tracks) for found in before)
    assert sum([withdrawn_late(deployment, track, clip) for track in tracks]) <= len(tracks) // 2


def withdrawn_late(deployment: Deployment, track: str, clip: bytes) -> bool:
    """Whether a replica returns it a second later yet; none may any more at LATEST_S."""
    patched = deployment.ask(f"/admin/tracks/{track}", {"withdrawn": True}, method="PATCH")
    assert patched.status == 200, patched.body
    time.sleep(WITHDRAWN_S)

    def everywhere() -> bool:
        return all(track not in returned(deployment, port, clip) for port in deployment.replicas)

    if everywhere():
        return False
    deployment.fleet.wait_until(everywhere, LATEST_S - WITHDRAWN_S, track)
    return True


def returned(deployment: Deployment, port: int, clip: bytes) -> set[str]:
    answer = deployment.ask(ALL, clip, port=port)
    assert answer.status == 200, answer.body
    return {result["track_id"] for result in answer.json["results"]}


def renewed(deployment: Deployment) -> None:
    """A rolling update: each replica is stopped and started again on its port, under requests."""
    for i, port in enumerate(deployment.replicas):
        assert deployment.running.servers[0].stop() in (0, -15)
        deployment.running.servers.pop(0)
        assert not deployment.fleet.ready(port)
        assert deployment.running.serve(port=port) == deployment.replicas[i]
        time.sleep(2)  # nginx asks it again a second after it failed
