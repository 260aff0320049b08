"""POST /servers and how long until ACTIVE, against starting the same domain bare: `python -m tests.bench.servers [count]`.

The two are taken in turn on the running stack: a server through the API; then the very domain that it had, by virsh, from destroy to running.
"""

from __future__ import annotations

import os
import sys
import time

import openstack

from tests.bench.figures import say
from tests.e2e.cloud import ROOT, hosts, virsh


def active(compute, server_id: str) -> float:
    while True:
        server = compute.get(f"/servers/{server_id}").json()["server"]
        if server["status"] == "ACTIVE":
            return time.perf_counter()
        if server["status"] == "ERROR":
            raise SystemExit(server["fault"])
        time.sleep(0.02)


def host_of(name: str) -> str:
    return next(host for host in hosts() if name in virsh(host, "list --all --name").split())


def bare(server_id: str) -> float:
    """Seconds that libvirt takes to start the same domain."""
    name = f"wolke-{server_id}"
    host = host_of(name)
    virsh(host, f"destroy {name}")
    destroyed = time.perf_counter()
    virsh(host, f"start {name}", check=False)  # the agent may be quicker: then it is running already
    while "running" not in virsh(host, f"domstate {name}"):
        time.sleep(0.02)
    return time.perf_counter() - destroyed


def main() -> None:
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(ROOT / "devstack/clouds.yaml")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    cloud = openstack.connect(cloud="devstack")
    compute = cloud.compute
    body = {"server": {
        "name": "bench", "imageRef": cloud.image.find_image("cirros").id, "flavorRef": cloud.compute.find_flavor("m1.nano").id,
        "networks": [{"uuid": cloud.network.find_network("private").id}],
    }}  # fmt: skip
    posts, actives, bares = [], [], []
    for n in range(count + 1):
        start = time.perf_counter()
        answer = compute.post("/servers", json=body)
        posted = time.perf_counter()
        server_id = answer.json()["server"]["id"]
        done = active(compute, server_id)
        alone = bare(server_id)
        if n:
            posts.append(posted - start)
            actives.append(done - start)
            bares.append(alone)
        compute.delete(f"/servers/{server_id}")
        while compute.get(f"/servers/{server_id}").status_code != 404:
            time.sleep(0.05)
    say("POST /servers", posts, target="60 ms")
    say("POST to ACTIVE", actives)
    say("the same domain, bare", bares)
    say("the difference, in turn", [a - b for a, b in zip(actives, bares, strict=True)], target="1000 ms")


if __name__ == "__main__":
    main()
