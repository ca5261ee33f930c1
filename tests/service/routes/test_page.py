import re
from pathlib import Path

from fastapi.testclient import TestClient

PAGE = Path(__file__).resolve().parents[3] / "service" / "page" / "audition"


def test_the_page_may_run_nothing_but_its_own(client: TestClient) -> None:
    first, second = client.get("/"), client.get("/")
    policies = [answer.headers["content-security-policy"] for answer in (first, second)]
    assert policies[0] != policies[1]  # a fresh nonce each time
    for answer, policy in zip((first, second), policies, strict=True):
        nonce = re.search(r"'nonce-([\w-]{20,})'", policy)
        assert nonce is not None
        assert f'nonce="{nonce[1]}"' in answer.text
        assert "{nonce}" not in answer.text
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert (rules["default-src"], rules["script-src"]) == ("'none'", "'self'")
        assert "unsafe" not in policy
    assert client.head("/").status_code == 200


def test_every_file_it_names_is_there_and_names_nothing_elsewhere(client: TestClient) -> None:
    texts = [client.get("/").text, *(path.read_text("utf-8") for path in PAGE.glob("*.[jc]s*"))]
    named = {name for text in texts for name in re.findall(r"""["'](/page/[^"']+)["']""", text)}
    assert len(named) >= 14
    for name in named:
        assert client.get(name).status_code == 200, name
    assert client.get("/page/app.js").headers["content-type"].startswith("text/javascript")
    elsewhere = [found for text in texts for found in re.findall(r"https?://[^\s\"'`]+", text)]
    assert set(elsewhere) <= {"http://www.w3.org/2000/svg"}  # the name of a format, never fetched


def test_the_licence_of_the_waveforms_comes_with_them(client: TestClient) -> None:
    assert "BSD 3-Clause" in client.get("/page/vendor/wavesurfer.LICENSE.txt").text
    for name in ("index.html", "none.js"):
        assert client.get(f"/page/{name}").json()["code"] == "not_found"
    assert client.get("/page/app.js").headers["cache-control"] == "no-cache"
    assert client.get("/page/../app.py").status_code == 404
