"""The parts of devstack that are programs of their own: the socket activator, and who may do what on the bus."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

DEVSTACK = Path(__file__).parents[2] / "devstack"
CHILD = """
import json, os, socket
names = os.environ["LISTEN_FDNAMES"].split(":")
sockets = [socket.socket(fileno=3 + n) for n in range(int(os.environ["LISTEN_FDS"]))]
print(json.dumps([os.environ["LISTEN_PID"] == str(os.getpid()), dict(zip(names, (s.getsockname() for s in sockets)))]), flush=True)
for s in sockets:
    connection, _ = s.accept()
    connection.sendall(b"here")
    connection.close()
"""


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def listening() -> tuple[subprocess.Popen[str], int, int, str]:
    """The child, the ports of image and compute, and what it says first. Another process may have taken a port that was free: then others."""
    for _ in range(5):
        first, second = free_ports(2)
        command = [sys.executable, str(DEVSTACK / "listen.py"), f"image:{first}", f"compute:{second}", "--", sys.executable, "-c", CHILD]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert child.stdout is not None
        if said := child.stdout.readline():
            return child, first, second, said
        told = child.communicate()[1]
        assert f"127.0.0.1:{first}" in told or f"127.0.0.1:{second}" in told, told
    raise AssertionError("no port stays free")


def test_sockets_reach_the_command_by_name() -> None:
    child, first, second, said = listening()
    with child:
        ours, addresses = json.loads(said)
        assert ours
        assert addresses == {"image": ["127.0.0.1", first], "compute": ["127.0.0.1", second]}
        for port in (first, second):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                assert connection.recv(4) == b"here"
    assert child.returncode == 0


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = subprocess.run([sys.executable, DEVSTACK / "listen.py", f"image:{port}", "--", "true"], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr


def test_a_host_speaks_for_itself_only() -> None:
    lines = "wolke secret\nhv1 secret1 1111-aaaa\nhv2 secret2 2222-bbbb\n"
    done = subprocess.run([sys.executable, DEVSTACK / "lib/rabbit_definitions.py"], input=lines, capture_output=True, text=True, check=True)
    made = json.loads(done.stdout)
    assert "secret" not in done.stdout
    rights = {row["user"]: row for row in made["permissions"]}
    topics = {row["user"]: row for row in made["topic_permissions"]}
    assert rights["wolke"]["write"] == ".*"
    assert "wolke" not in topics
    for own in ("host.1111-aaaa", "host.1111-aaaa.agent-hv1", "host.1111-aaaa_fanout", "reply_hv1:wolke-agent:1", "wolke"):
        assert re.search(rights["hv1"]["configure"], own)
    for foreign in ("host.2222-bbbb", "reply_hv2:wolke-agent:1", "reply_hv12:x", "agents", "worker", "reply_controller:wolke-api:1"):
        assert not re.search(rights["hv1"]["read"], foreign)
    assert re.search(topics["hv1"]["write"], "agents")
    assert not re.search(topics["hv1"]["write"], "host.2222-bbbb")
    assert not re.search(topics["hv1"]["read"], "agents")


def test_a_folder_with_other_things_is_neither_filled_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    for script in ("stack.sh", "unstack.sh"):
        done = subprocess.run([DEVSTACK / script], env={"WOLKE_STATE": str(tmp_path), "PATH": "/usr/bin"}, capture_output=True, text=True)
        assert done.returncode == 1
        assert f"{tmp_path} holds other things" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
