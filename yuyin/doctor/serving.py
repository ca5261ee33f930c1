"""YUYIN_* variables in, whether a server would start from them, and who has its port out."""

import errno
import http.client
import ipaddress
import json
import os
import socket
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyin.doctor.finding import Check, Finding, Group

if TYPE_CHECKING:
    from service.settings import Settings

PREFIX = "YUYIN_"
ELSEWHERE = {"YUYIN_KEY"}  # read by `yuyin recommend --server`, no setting of the server
ANSWER_S = 3.0


def settings_or_defaults(store: Path) -> "Settings":
    """For checks that only measure against a limit: bad variables have a line of their own."""
    from model.errors import BadOptions
    from service.settings import Settings, read_settings

    try:
        return read_settings(store=store)
    except BadOptions:
        return Settings.model_construct(store=store)


def variables(store: Path) -> Finding:
    """Whether the variables can be read, and whether all of them mean something."""
    from model.errors import BadOptions
    from service.settings import Settings, read_settings

    try:
        read_settings(store=store)
    except BadOptions as error:
        return Finding("missing", str(error), "correct the variable, docs/settings.md lists all")
    given = {name for name in os.environ if name.startswith(PREFIX)} - ELSEWHERE
    return judge_names(given, [f"{PREFIX}{name.upper()}" for name in Settings.model_fields])


def judge_names(given: set[str], known: list[str]) -> Finding:
    """A misspelt variable is silently ignored by the server."""
    strange = sorted(name for name in given if name.partition("__")[0] not in known)
    if not strange:
        return Finding("ok", f"{len(given)} {PREFIX}* variables set" if given else "all at their defaults")
    near = get_close_matches(strange[0].removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known], 1)
    fix = (
        f"{strange[0]} may mean {PREFIX}{near[0]}"
        if near
        else f"remove {strange[0]}: docs/settings.md lists all"
    )
    return Finding("degraded", f"no such setting: {', '.join(strange)}", fix)


def keys(store: Path) -> Finding | None:
    """Who may ask."""
    from model.errors import BadOptions
    from service.edge.fence import is_loopback
    from service.edge.keys import load_keys
    from service.settings import read_settings

    try:
        chosen = read_settings(store=store)
    except BadOptions:
        return None
    try:
        names = sorted(load_keys(chosen).entries)
    except BadOptions as error:
        return Finding("missing", str(error), "`yuyin keys new` prints an entry of the right form")
    if names:
        return Finding("ok", f"{len(names)} configured: {', '.join(names)}")
    if is_loopback(chosen.host):
        return Finding("ok", "none: open to programs on this machine only, everything else is refused")
    found = f"none, and YUYIN_HOST={chosen.host} listens beyond this machine: the server refuses to start"
    return Finding("missing", found, "`yuyin keys new`, then set YUYIN_KEYS or YUYIN_KEYS_FILE")


def pools(store: Path) -> Finding | None:
    """The music folders that a reindex may name; no line while there are none."""
    from model.errors import BadOptions
    from service.settings import read_settings

    try:
        named = read_settings(store=store).pools
    except BadOptions:
        return None
    gone = {name: path for name, path in named.items() if not os.access(path, os.R_OK | os.X_OK)}
    if gone:
        found = "; ".join(f"{name}: {path} cannot be read" for name, path in gone.items())
        return Finding("degraded", found, "mount it, or correct YUYIN_POOLS: until then no reindex")
    return Finding("ok", ", ".join(named)) if named else None


def port(store: Path) -> Finding | None:
    """Whether the server could listen where it is told to, or already does."""
    from model.errors import BadOptions
    from service.settings import read_settings

    try:
        chosen = read_settings(store=store)
    except BadOptions:
        return None
    host = "127.0.0.1" if chosen.host.lower() == "localhost" else chosen.host.strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        fix = "set YUYIN_HOST to an address, such as 127.0.0.1 or 0.0.0.0"
        return Finding("degraded", f"{host} is a name, and none is looked up from here", fix)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family) as place:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            place.bind((host, chosen.port))
    except OSError as error:
        return _occupied(error, str(address), chosen.port)
    free = f"port {chosen.port} is free" if chosen.port else "takes a free port"
    return Finding("ok", f"{chosen.host}, {free}")


def _occupied(error: OSError, host: str, number: int) -> Finding:
    match error.errno:
        case errno.EADDRINUSE:
            return _who({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), number)
        case errno.EACCES:
            fix = "set YUYIN_PORT=8000, and let a proxy listen below 1024"
            return Finding("missing", f"this user may not listen on port {number}", fix)
        case errno.EADDRNOTAVAIL:
            fix = "set YUYIN_HOST to an address of this machine, or 0.0.0.0 for all (with keys)"
            return Finding("missing", f"{host} is no address of this machine", fix)
        case _:
            return Finding(
                "missing", f"{host}:{number}: {error.strerror}", "choose YUYIN_HOST and YUYIN_PORT anew"
            )


def _who(host: str, number: int) -> Finding:
    """Ask whoever listens."""
    try:
        ours = _get(host, number, "/livez") == {"status": "alive"}
        ready = _get(host, number, "/readyz") if ours else {}
    except (OSError, http.client.HTTPException, ValueError):
        ours = False
    where = f"{host}:{number}"
    if not ours:
        fix = f"stop it, or set YUYIN_PORT to another, such as {number % 65535 + 1}"
        return Finding("missing", f"another program has {where}", fix)
    if ready.get("status") == "ready":
        return Finding("ok", f"YuYin is serving here ({where}), snapshot {ready.get('snapshot')}")
    detail = ready.get("detail") or "; ".join(
        f"{k}: {v}" for k, v in ready.get("parts", {}).items() if v != "ok"
    )
    fix = "its log says why; the lines about the store below may, too"
    return Finding("degraded", f"YuYin listens here ({where}), but: {detail}", fix)


def _get(host: str, number: int, path: str) -> dict[str, Any]:
    """A JSON object from an address of this machine, past any proxy that the environment names."""
    connection = http.client.HTTPConnection(host, number, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read(1 << 16))
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}


GROUP = Group(
    "service",
    (
        Check("settings", variables),
        Check("keys", keys),
        Check("pools", pools, "look at the mounts of YUYIN_POOLS", unanswered="degraded"),
        Check("port", port),
    ),
)
