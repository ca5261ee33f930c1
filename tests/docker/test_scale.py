"""compose.scale.yaml and nginx.conf without an engine: what they promise is read; nginx reads its own."""

import re
import shutil
import subprocess
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CONF = (ROOT / "docker" / "nginx.conf").read_text("utf-8")
REPLICAS = ("yuyin-1", "yuyin-2")
OURS = (*REPLICAS, "worker")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.scale.yaml").read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def single() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("name", [*OURS, "nginx", "redis"])
def test_every_service_is_confined(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert set(compose["services"]) == {*OURS, "nginx", "redis"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert all(int(number) > 0 for number in service["user"].split(":"))
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)
    assert seconds(service["stop_grace_period"]) >= Settings().drain_s + 10
    assert service["memswap_limit"] == service["mem_limit"]
    assert service["pids_limit"] > 0
    assert all(
        {"noexec", "nosuid", "nodev"} <= set(one.partition(":")[2].split(",")) for one in service["tmpfs"]
    )
    tag = service["image"].partition(":")[2]
    assert re.match(r"\d+\.\d+", tag), "an image without a version is another one tomorrow"
    assert service["restart"] == "unless-stopped"


def test_ours_run_from_one_image_on_one_store(
    compose: dict[str, Any], single: dict[str, Any], image: Any
) -> None:
    other = single["services"]["yuyin"]
    for name in OURS:
        service = compose["services"][name]
        assert service["image"] == other["image"]
        assert service["user"] == image.last.all("USER")[-1]
        assert "store:/store" in service["volumes"]
        assert service["depends_on"]["redis"] == {"condition": "service_healthy"}
        assert service["environment"] == compose["services"]["worker"]["environment"]
        for same in ("tmpfs", "mem_limit", "cpus", "ulimits", "pids_limit", "secrets", "security_opt"):
            assert service[same] == other[same], same
    built = [name for name in OURS if "build" in compose["services"][name]]
    assert [compose["services"][name]["build"] for name in built] == [other["build"]]
    assert compose["services"]["worker"]["command"] == ["yuyin", "worker"]
    assert "command" not in compose["services"]["yuyin-1"]
    assert compose["volumes"] == {"store": None}


def test_its_settings_are_settings_and_keep_keys_out_of_the_environment(
    compose: dict[str, Any],
    is_set_well: Callable[[dict[str, Any], str], None],
    has_room: Callable[[dict[str, Any]], None],
) -> None:
    is_set_well(compose, "worker")
    worker = compose["services"]["worker"]
    has_room(worker)
    url = worker["environment"]["YUYIN_REDIS_URL"].replace("${YUYIN_REDIS_PASSWORD:-}", "")
    assert Settings(redis_url=url).redis_url is not None  # type: ignore[arg-type]


def test_only_nginx_can_be_reached_and_only_ours_reach_redis(compose: dict[str, Any]) -> None:
    services, networks = compose["services"], compose["networks"]
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    (port,) = services["nginx"]["ports"]
    assert port == "127.0.0.1:8080:8080"
    members = {
        network: {name for name, service in services.items() if network in service["networks"]}
        for network in networks
    }
    assert members == {"front": {"nginx"}, "middle": {"nginx", *REPLICAS}, "back": {"redis", *OURS}}
    assert [name for name, network in networks.items() if not network.get("internal")] == ["front"]


def test_redis_keeps_nothing_and_forgets_in_time(compose: dict[str, Any]) -> None:
    words = compose["services"]["redis"]["command"]
    given = {words[i].removeprefix("--"): words[i + 1] for i in range(0, len(words), 2)}
    assert (given["save"], given["appendonly"]) == ("", "no")
    assert given["maxmemory-policy"] == "volatile-lru"
    assert megabytes(given["maxmemory"]) * 2 <= megabytes(compose["services"]["redis"]["mem_limit"])
    assert "volumes" not in compose["services"]["redis"]


def test_health_is_readiness_where_something_listens(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in (*REPLICAS, "nginx"):
        assert "/readyz" in services[name]["healthcheck"]["test"][-1]
    assert services["redis"]["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    assert services["worker"]["healthcheck"] == {"disable": True}  # else it would inherit the image's


def test_nginx_asks_both_replicas_and_lets_this_machine_alone_administer(compose: dict[str, Any]) -> None:
    wanted = [compose["services"][name]["networks"]["middle"]["ipv4_address"] for name in REPLICAS]
    port = Settings.model_fields["port"].default
    assert re.findall(r"^ *server (\S+) max_fails", CONF, re.M) == [f"{address}:{port}" for address in wanted]
    (middle,) = compose["networks"]["middle"]["ipam"]["config"]
    assert all(ip_address(address) in ip_network(middle["subnet"]) for address in wanted)
    (front,) = compose["networks"]["front"]["ipam"]["config"]
    (admin,) = re.findall(r"location /admin/ \{(.*?)\}", CONF, re.S)
    assert re.findall(r"(allow|deny) (\S+);", admin) == [
        ("allow", "127.0.0.1"),
        ("allow", front["gateway"]),
        ("deny", "all"),
    ]
    (mount,) = compose["services"]["nginx"]["volumes"]
    assert mount == "./nginx.conf:/etc/nginx/nginx.conf:ro"


def test_its_settings_are_those_of_the_page() -> None:
    """docs/proxy.md explains them; where they differ it is for the container."""
    (page,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "proxy.md").read_text("utf-8"), re.S)
    own = {
        r"server [\d.]+:\d+ max_fails=1 fail_timeout=1s;",
        r"client_body_temp_path \S+;",
        "limit_conn callers .*",
    }
    ours = directives(CONF)
    missing = [line for line in directives(page) if line not in ours]
    assert all(any(re.fullmatch(pattern, line) for pattern in own) for line in missing), missing


def directives(text: str) -> list[str]:
    return [line for raw in text.splitlines() if (line := raw.partition("#")[0].strip()) and line != "}"]


def test_nginx_takes_it(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx on this machine: apt-get install nginx-light")
    own = tmp_path / "nginx.conf"
    own.write_text(CONF.replace("/tmp/", f"{tmp_path}/"))
    done = subprocess.run([nginx, "-t", "-c", str(own)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in re.sub(r'the "user" directive.*', "", done.stderr)
    own.write_text(own.read_text().replace("least_conn;", "least_conn", 1))
    assert subprocess.run([nginx, "-t", "-c", str(own)], capture_output=True, check=False).returncode != 0


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def megabytes(text: str) -> int:
    return int(re.match(r"(\d+)mb?$", text)[1])  # type: ignore[index]
