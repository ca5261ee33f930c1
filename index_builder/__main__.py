"""`python -m index_builder build`: arguments in, JSON lines out; what the service starts as its child.

Events: `progress` {stage, done, total, progress, eta_s}, and last `done` {snapshot, ...} or `error` {code,
message}.
Exit status: 0 done, 1 done with files left out, or failed, 2 the arguments, pool or bundle cannot be used.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, get_args

from index_builder.build import BuildJob, Progress, build, cores
from model.backbones.folder import default_models
from model.backbones.loaded import Backbones
from model.errors import InputError, YuyinError
from model.runtime.accelerator import Accelerator, Policy, Provider


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one build and say how it goes."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, _stop)
    job = _parsed(arguments)
    try:
        report = build(job, _say_progress)
        _say("done", **asdict(report))
    except YuyinError as error:
        _say("error", code=error.code, message=str(error))
        return 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:  # nobody listens any more: whoever started us is gone
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # or the interpreter complains at its end
        return 1
    except OSError as error:
        _say("error", code="not_writable", message=f"{error}: check the store's disk and permissions")
        return 1
    except KeyboardInterrupt:
        _say("error", code="cancelled", message="stopped; what was finished is kept for the next build")
        return 1
    return 1 if report.skipped else 0


def _parsed(arguments: Sequence[str] | None) -> BuildJob:
    parser = argparse.ArgumentParser(prog="python -m index_builder")
    command = parser.add_subparsers(dest="command", required=True).add_parser("build")
    command.add_argument("--store", type=Path, required=True)
    command.add_argument("--pool", type=Path, required=True, help="folder of audio files")
    command.add_argument("--bundle", type=Path, required=True)
    command.add_argument("--recompute", action="store_true", help="ignore stored features")
    command.add_argument("--processes", type=int, default=cores())
    command.add_argument("--models", type=Path, default=default_models(), help="pretrained networks")
    default = Accelerator()
    command.add_argument("--accelerator", choices=get_args(Policy), default=default.policy)
    command.add_argument("--providers", choices=get_args(Provider), nargs="+", default=default.providers)
    command.add_argument("--device", type=int, default=default.device, help="which of several GPUs")
    command.add_argument("--memory-bytes", type=int, help="most memory of the GPU for one network")
    found = parser.parse_args(arguments)
    accelerator = Accelerator(
        found.accelerator, tuple(found.providers), found.device, memory_bytes=found.memory_bytes
    )
    return BuildJob(
        found.pool,
        found.store,
        found.bundle,
        found.recompute,
        processes=max(1, found.processes),
        backbones=Backbones(found.models, accelerator=accelerator),
    )


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """Both end a build alike: workers are stopped, what is half written is removed."""
    raise KeyboardInterrupt


def _say_progress(progress: Progress) -> None:
    _say("progress", **asdict(progress))


def _say(event: str, **members: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **members}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
