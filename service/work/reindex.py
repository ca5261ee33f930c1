"""A reindex job in, a child process that builds the snapshot, and its report out; the swap comes first."""

import asyncio
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from index_builder import snapshot as snapshots
from model.backbones.loaded import Backbones
from model.bundle import shipped_bundle
from model.errors import BadOptions, StoreLocked
from service.schemas.jobs import Job
from service.serving.current import Current
from service.settings import Settings
from service.stores.shared import SNAPSHOT, Notices
from service.work.jobs import JobFailed, Tell

log = logging.getLogger("yuyin.service")

SHIPPED = "shipped"  # the name of the bundle that lies in the package
END_S = 10.0  # the leash ends a builder within two
LOCK_WAIT_S = 30.0  # a second attempt waits for the builder of the first, whose worker is gone, to end
_LINE_BYTES = 1 << 27  # the report names every file that was left out


@dataclass(frozen=True, slots=True)
class Build:
    """What a reindex is made from."""

    pool: Path
    store: Path
    bundle: Path
    recompute: bool
    backbones: Backbones

    def command(self) -> list[str]:
        """On a leash (`service.work.leash`); -P keeps the working directory from offering packages."""
        python = [sys.executable, "-P", "-m"]
        builder = [*python, "index_builder", "build", "--pool", str(self.pool), "--store", str(self.store)]
        chosen = ["--bundle", str(self.bundle), *(["--recompute"] if self.recompute else [])]
        chosen += ["--models", str(self.backbones.models)]
        where = self.backbones.accelerator
        chosen += ["--accelerator", where.policy, "--device", str(where.device)]
        chosen += ["--providers", *where.providers]
        chosen += [] if where.memory_bytes is None else ["--memory-bytes", str(where.memory_bytes)]
        return [*python, "service.work.leash", *builder, *chosen]


class Reindex:
    """The work of a job of kind `reindex`, on the machine that holds the pool."""

    def __init__(self, settings: Settings, put_in_force: Callable[[], Awaitable[None]]) -> None:
        """Args: `put_in_force` brings what was built into use, or raises `JobFailed`."""
        self._settings = settings
        self._put_in_force = put_in_force

    async def __call__(self, job: Job, tell: Tell) -> dict[str, Any]:
        """Build, then swap.

        Raises:
            JobFailed: with the builder's own code and words.
            BadOptions: if this machine knows no such pool or bundle.
        """
        command = self._build(job.asked).command()
        deadline_s = asyncio.get_running_loop().time() + LOCK_WAIT_S
        while True:
            try:
                report = await _run(command, tell)
                break
            except JobFailed as failure:
                late = asyncio.get_running_loop().time() > deadline_s
                if failure.code != StoreLocked.code or job.attempt == 1 or late:
                    raise
            await asyncio.sleep(1.0)
        await self._put_in_force()
        return report

    async def clean_up(self, job: Job) -> None:
        """Remove what a cancelled build left half written, unless the next one is at work."""
        try:
            await asyncio.to_thread(snapshots.sweep, self._settings.store)
        except StoreLocked:
            pass  # a clean-up of the next build, or of `yuyin index gc`, will find it
        except OSError as error:
            log.warning("a cancelled build left files behind", extra={"reason": str(error)})

    def _build(self, asked: dict[str, Any]) -> Build:
        settings, name, bundle_id = self._settings, asked["pool"], asked["bundle"]
        if name not in settings.pools:
            raise BadOptions(f"the worker's YUYIN_POOLS has no pool {name!r}: configure it as the server's")
        bundle = shipped_bundle() if bundle_id == SHIPPED else settings.store / "bundles" / bundle_id
        return Build(settings.pools[name], settings.store, bundle, asked["recompute"], settings.backbones)


async def _run(command: Sequence[str], tell: Tell) -> dict[str, Any]:
    """Run the builder to its end, passing its progress on; returns its report."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LINE_BYTES)
    )
    try:
        child = await asyncio.shield(starting)
    except asyncio.CancelledError:  # asyncio would kill the leash alone, and the builder would go on
        await _end(await starting)
        raise
    except OSError as error:
        log.error("the builder could not be started", extra={"reason": str(error)})
        raise JobFailed("internal", "the builder could not be started: see the server's log") from error
    try:
        last = await _follow(child, tell)
        status = await child.wait()
    finally:  # also when the job is cancelled, or the server stops
        await _end(child)
    match last:
        case {"event": "done", **report}:
            return report
        case {"event": "error", "code": str(code), "message": str(message)}:
            raise JobFailed(code, message)
    log.error("the builder ended without a word", extra={"status": status})
    raise JobFailed("internal", f"the builder ended with status {status}: see the log")


async def _follow(child: Process, tell: Tell) -> dict[str, Any]:
    """Take the builder's JSON lines as they come; returns the last one."""
    last: dict[str, Any] = {}
    assert child.stdout is not None
    async for line in child.stdout:
        try:
            last = json.loads(line)
        except ValueError:
            log.warning(
                "the builder printed what is no JSON", extra={"line": line[:200].decode("utf-8", "replace")}
            )
            continue
        if last["event"] == "progress":
            tell(round(last["progress"], 4), last["stage"])
    return last


async def _end(child: Process) -> None:
    """Let go of the leash, which ends the builder and its workers, and wait for that."""
    assert child.stdin is not None
    child.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def swap_here(current: Current, notices: Notices, loader: Executor) -> Callable[[], Awaitable[None]]:
    """How a server that reindexes puts what was built in force: here first, then it tells the others."""

    async def put_in_force() -> None:
        await asyncio.get_running_loop().run_in_executor(loader, partial(current.follow, again=True))
        refusal = current.refusal
        if refusal is not None:
            detail = f"{refusal.snapshot_id} was built but refused ({refusal.code}): see the server's log"
            raise JobFailed(refusal.code, detail)
        await notices.publish(SNAPSHOT)

    return put_in_force
