"""The nginx configuration of docs/proxy.md: nginx itself reads it, and its numbers fit the service."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "proxy.md"


def configuration() -> str:
    (found,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def test_nginx_takes_it(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx on this machine: apt-get install nginx-light")
    own = configuration().replace("/var/lib/nginx", str(tmp_path))
    kinds = ("proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    own_place = f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{}}\n"
    (tmp_path / "nginx.conf").write_text(f"{own_place}http {{\naccess_log off;\n{folders}{own}}}\n")
    done = subprocess.run(
        [nginx, "-t", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_its_numbers_are_above_those_of_the_service() -> None:
    defaults, text = Settings(), configuration()
    (reads_s,) = re.findall(r"proxy_read_timeout (\d+)s", text)
    assert int(reads_s) > defaults.deadline_s
    for megabytes in re.findall(r"client_max_body_size (\d+)m", text)[1:]:
        assert int(megabytes) * 1_000_000 > defaults.limits.max_bytes
