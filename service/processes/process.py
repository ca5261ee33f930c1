"""Settings on standard input and a listening socket in, one service process out; it ends with who started it.

Run as `python -m service.processes.process DESCRIPTOR` by `service.processes.supervisor`. The first line of
standard input is the settings: they may hold a password, and a command line is everybody's to read. The end
of it is the order to end, also when the supervisor was killed.
"""

import json
import os
import signal
import socket
import sys
import threading
from types import FrameType

import uvicorn

from model.errors import YuyinError
from service.app import create_app
from service.edge import door
from service.edge.door import GRACE_S
from service.edge.logs import log_config
from service.edge.patience import MAX_HEADER_BYTES, PatientProtocol
from service.processes.supervisor import BAD_START
from service.settings import Settings


class Server(door.Server):
    """The one that drains, with streams ended as soon as the order to end comes: it waits for all of them."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take the order."""
        super().handle_exit(sig, frame)
        end_streams = getattr(self.config.loaded_app.state, "end_streams", None)
        if end_streams is not None:
            end_streams()


def server_of(settings: Settings) -> Server:
    """Uvicorn around the service; it writes its own log, without file names."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=log_config(),
        access_log=False,
        server_header=False,
        http=PatientProtocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config, app.state.door, settings.drain_s)


def main(descriptor: int) -> int:
    """Serve on the socket that was inherited."""
    try:
        settings = Settings.model_validate(json.loads(sys.stdin.readline()))
        server = server_of(settings)
    except (YuyinError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_START
    threading.Thread(target=_end_with_stdin, args=(settings.drain_s,), daemon=True).start()
    listening = socket.socket(fileno=descriptor)
    server.run([listening])
    return 0 if server.started else 1


def _end_with_stdin(drain_s: float) -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Timer(drain_s + 2 * GRACE_S, os._exit, (1,)).start()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
