"""Settings in, the sockets to listen on out: the one for all, and the one for admins if that is set."""

import socket

from model.errors import BadOptions
from service.settings import Settings

BACKLOG = 2048


def listen(settings: Settings) -> list[socket.socket]:
    """The one for all comes first.

    Raises:
        BadOptions: if an address cannot be listened on.
    """
    found = [_bound(settings.host, settings.port, "YUYIN_HOST and YUYIN_PORT")]
    if settings.admin_host is not None and settings.admin_port is not None:
        try:
            names = "YUYIN_ADMIN_HOST and YUYIN_ADMIN_PORT"
            found.append(_bound(settings.admin_host, settings.admin_port, names))
        except BadOptions:
            found[0].close()
            raise
    return found


def _bound(host: str, port: int, names: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise BadOptions(f"{names}: {host}:{port} cannot be listened on ({error})") from error
    listening.listen(BACKLOG)
    return listening
