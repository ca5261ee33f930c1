"""Requests in, those that a program on this machine sent on purpose out: guards a server without keys.

A web page elsewhere can make its visitor's browser post to 127.0.0.1, or rebind its own name to it.
The first carries a foreign `Origin`, the second a foreign `Host`; both are refused (design section 6).
"""

import ipaddress
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import problem


def is_loopback(host: str) -> bool:
    """Whether a host name or address without port is this machine and nothing else."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_of(authority: str) -> str:
    """`[::1]:8000` -> `::1`; an empty string for what is no authority."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


class Fence:
    """ASGI middleware that lets only loopback hosts and no foreign origin through."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 403."""
        if scope["type"] == "http":
            request = Request(scope)
            fault = _fault(request.headers.get("host", ""), request.headers.getlist("origin"))
            if fault:
                await problem(request, "forbidden", fault)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _fault(host: str, origins: list[str]) -> str | None:
    if not is_loopback(_host_of(host)):
        return "without API keys this server answers to localhost and 127.0.0.1 only: configure YUYIN_KEYS"
    if any(origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()) for origin in origins):
        return "without API keys this server takes no requests from web pages of other origins"
    return None
