"""API keys: who may ask, who may administer, and what a key file may hold."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling.models.errors import NestlingError
from nestling.server.http.keys import Keys, new_key

from ..serving import NESTLING, Server, serve

USER, ADMIN = new_key(), new_key()
KEYS = {"user": USER[0], "admin": ADMIN[0], "stranger": "nst_wrong"}


@pytest.fixture(scope="module")
def guarded(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    users, admins = folder / "users", folder / "admins"
    users.write_text(f"# who may ask\nana {USER[1]}\n\n")
    admins.write_text(f"root {ADMIN[1]}  # since spring\n")
    flags = ("--api-keys", str(users), "--admin-keys", str(admins))
    with serve(calibrated_dir, folder / "log", *flags) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        ("/v1/classify", None, 401),
        ("/v1/classify", "stranger", 401),
        ("/v1/classify", "user", 200),
        ("/v1/classify", "admin", 200),
        ("/admin/reload", "user", 401),
        ("/admin/reload", None, 401),
        ("/admin/reload", "admin", 200),
    ],
)
@pytest.mark.parametrize("form", ["bearer", "x-api-key"])
def test_who_may_do_what(
    guarded: Server, path: str, who: str | None, status: int, form: str
) -> None:
    key = KEYS[who] if who else None
    headers = {}
    if key is not None:
        headers = {"Authorization": f"Bearer {key}"} if form == "bearer" else {"X-API-Key": key}
    body = {"inputs": "book"} if path == "/v1/classify" else {}
    response = guarded.client.post(path, json=body, headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.json()["error"]["type"] == "unauthorised"
        assert response.headers["WWW-Authenticate"] == "Bearer"


PUBLIC = {"/health", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json"}


def test_only_probes_and_documentation_are_public(guarded: Server) -> None:
    paths = guarded.client.get("/openapi.json").json()["paths"]
    for path in {*paths, "/docs", "/openapi.json", "/nothing"}:
        method = "POST" if "post" in paths.get(path, {}) else "GET"
        status = guarded.client.request(method, path).status_code
        assert status == (200 if path in PUBLIC else 401), path
    key = {"Authorization": f"Bearer {USER[0]}"}
    assert guarded.client.get("/metrics", headers=key).status_code == 200


def test_nobody_administers_without_keys(server: Server) -> None:
    response = server.client.post("/admin/reload")
    assert response.status_code == 403
    assert "start with --admin-keys FILE" in response.json()["error"]["message"]


def test_the_command_makes_a_key_that_its_line_lets_in(tmp_path: Path) -> None:
    done = subprocess.run(
        [*NESTLING, "key", "ana"], capture_output=True, text=True, check=True, timeout=60
    )
    _, key, _, line = (text.strip() for text in done.stdout.splitlines())
    file = tmp_path / "keys"
    file.write_text(line)
    keys = Keys.read(file)
    assert keys.owner(key) == "ana"
    assert keys.owner(key + "x") is None
    assert key not in file.read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ana", "line 1: expected a name and a sha256 in hex"),
        (f"# a\nana {'g' * 64}", "line 2: expected a name"),
        (f"a {'0' * 64}\na {'1' * 64}", "line 2: 'a' is there twice"),
        ("# nobody\n", "no keys in it"),
    ],
)
def test_a_key_file_names_the_line_at_fault(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(NestlingError, match=message):
        Keys.read(file)
    with pytest.raises(NestlingError, match="nowhere"):
        Keys.read(tmp_path / "nowhere")
