"""Settings on standard input and listening sockets in, one service process out; it ends with who started it.

Run as `python -m service.processes.process METRICS PULSE LISTENING...` by `service.processes.supervisor`:
with a file for what this process counted and the numbers of descriptors. The first line of standard input
is the settings: they may hold a password, and a command line is everybody's to read. The end of it is the
order to end, also when the supervisor was killed. Into the pipe PULSE the event loop writes as long as it
turns.
"""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from model.errors import YuyinError
from service.app import create_app
from service.edge import door
from service.edge.door import GRACE_S
from service.edge.logs import log_config
from service.edge.patience import MAX_HEADER_BYTES, PatientProtocol
from service.processes.heap import one_heap
from service.processes.supervisor import BAD_START
from service.settings import Settings

PULSE_TICKS = 5  # of uvicorn, ten a second


class Server(door.Server):
    """The one that drains, with streams ended as soon as the order to end comes: it waits for all of them."""

    pulse: int | None = None  # descriptor of a pipe

    async def on_tick(self, counter: int) -> bool:
        """Tell the supervisor that the event loop turns; that it ends, once it does."""
        ending = await super().on_tick(counter)
        if self.pulse is not None and ending:
            os.close(self.pulse)
            self.pulse = None
        elif self.pulse is not None and counter % PULSE_TICKS == 0:
            with suppress(BlockingIOError, BrokenPipeError):  # a supervisor that is stopped, or gone
                os.write(self.pulse, b".")
        return ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take the order."""
        super().handle_exit(sig, frame)
        end_streams = getattr(self.config.loaded_app.state, "end_streams", None)
        if end_streams is not None:
            end_streams()


def server_of(settings: Settings, metrics_file: Path | None = None) -> Server:
    """Uvicorn around the service; it writes its own log, without file names. Threads start after this."""
    one_heap()
    app = create_app(settings, metrics_file)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=log_config(settings.log_level),
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks for a caller's address: nothing that says one is believed
        http=PatientProtocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config, app.state.door, settings.drain_s)


def main(metrics_file: Path, pulse: int, *descriptors: int) -> int:
    """Serve on the sockets that were inherited."""
    try:
        settings = Settings.model_validate(json.loads(sys.stdin.readline()))
        server = server_of(settings, metrics_file)
    except (YuyinError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_START
    server.pulse, server.others_listen = pulse, settings.processes > 1
    os.set_blocking(pulse, False)
    signal.signal(signal.SIGTERM, partial(_leave, server, metrics_file))
    threading.Thread(target=_end_with_stdin, args=(server, settings.drain_s), daemon=True).start()
    server.run([socket.socket(fileno=descriptor) for descriptor in descriptors])
    return 0 if server.started else 1


def _leave(server: Server, metrics_file: Path, *_: object) -> None:
    """Take our metrics along and die of SIGTERM: `run` never returns, uvicorn ends by sending it again."""
    with suppress(OSError):
        metrics_file.unlink(missing_ok=True)
        if not server.others_listen:  # all end, their supervisor may be dead: the last one takes the folder
            metrics_file.parent.rmdir()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)


def _end_with_stdin(server: Server, drain_s: float) -> None:
    while os.read(0, 4096):
        pass
    server.others_listen = False  # all end: who connects now is told so
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Timer(drain_s + 2 * GRACE_S, os._exit, (1,)).start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
