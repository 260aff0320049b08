"""A network API on a fresh database, and the things that stories start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.db import Database
from network.api import SERVICE
from tests.support.api import OTHER_PROJECT, PROJECT, Client, Tokens, client

CIDR, POOL = "10.0.0.0/24", {"start": "10.0.0.101", "end": "10.0.0.199"}
PUBLIC, PUBLIC_POOL = "203.0.113.0/24", {"start": "203.0.113.101", "end": "203.0.113.199"}


@dataclass
class World:
    """`api` asks as a member of PROJECT, `admin` as the cloud's administrator, `other` as a member of another project."""

    api: Client
    admin: Client
    other: Client
    db: Database

    def network(self, name: str = "net", by: Client | None = None, **more: Any) -> Any:
        return (by or self.api).post("/v2.0/networks", {"network": {"name": name, **more}}, ok=201)["network"]

    def subnet(self, network_id: str, cidr: str = CIDR, by: Client | None = None, **more: Any) -> Any:
        """Given CIDR or PUBLIC, its pool leaves the addresses that tests ask for by name to them."""
        if cidr in (CIDR, PUBLIC):
            more = {"allocation_pools": [POOL if cidr == CIDR else PUBLIC_POOL], **more}
        body = {"subnet": {"network_id": network_id, "ip_version": 4, "cidr": cidr, **more}}
        return (by or self.api).post("/v2.0/subnets", body, ok=201)["subnet"]

    def port(self, network_id: str, by: Client | None = None, ok: int = 201, **more: Any) -> Any:
        made = (by or self.api).post("/v2.0/ports", {"port": {"network_id": network_id, **more}}, ok=ok)
        return made["port"] if ok == 201 else made["NeutronError"]

    def external(self) -> Any:
        more = {"router:external": True, "provider:network_type": "flat", "provider:physical_network": "ext"}
        net = self.network("public", self.admin, **more)
        self.subnet(net["id"], PUBLIC, self.admin, enable_dhcp=False)
        return net

    def router(self, **more: Any) -> Any:
        return self.api.post("/v2.0/routers", {"router": {"name": "r", **more}}, ok=201)["router"]

    def add_interface(self, router: str, ok: int = 200, **body: Any) -> Any:
        return self.api.put(f"/v2.0/routers/{router}/add_router_interface", body, ok=ok)

    def error(self, method: str, path: str, body: Any, status: int, type: str, by: Client | None = None) -> str:
        """Ask; the answer must be this refusal. Its message."""
        answer = (by or self.api)(method, path, body, ok=status).json["NeutronError"]
        assert answer["type"] == type, answer
        return str(answer["message"])


def world(db: Database, tokens: Tokens | None = None) -> World:
    made = client(SERVICE, db, tokens)
    return World(made.as_(f"member@{PROJECT}"), made.as_("admin@" + "a" * 32), made.as_(f"member@{OTHER_PROJECT}"), db)
