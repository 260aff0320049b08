"""The OVN writer on a real PostgreSQL and OVN's twin in memory: what the API wrote comes about, whatever dies in between."""

from __future__ import annotations

import subprocess
import threading

import pytest
from sqlalchemy import select, update

from common.clock import Deadline
from common.epoch import restored
from common.models import Lease
from network import public
from network.cmd.ovn import serve
from network.engine import names, translate
from network.engine.base import Chassis, EngineError, StaleFenceError, UnavailableError
from network.engine.desired import Unit
from network.engine.memory import MemoryNorthbound, Store
from network.engine.views import NetworkIn
from network.models import FloatingIp, Network, Port, Router, SecurityGroup, SecurityGroupRule, Subnet
from network.writer.lease import LostLeaseError, WriterLease
from network.writer.writer import Writer
from tests.api.network_world import World, world
from tests.support.api import PROJECT, actor

MODELS = (Network, Subnet, Port, Router, FloatingIp, SecurityGroup, SecurityGroupRule)
HV1 = Chassis("chassis-1", "hv1", frozenset({"ext"}))
HV2 = Chassis("chassis-2", "hv2", frozenset({"ext"}))


class Life:
    """One process's life as the writer."""

    def __init__(self, db, store: Store, engine: MemoryNorthbound | None = None) -> None:
        self.engine = engine or MemoryNorthbound(store)
        self.lease = WriterLease(db, "test")
        with db.transaction() as tx:  # the one before is dead: its lease has run out
            tx.execute(update(Lease).values(lease_until=None))
        assert self.lease.claim()
        self.writer = Writer(db, self.engine, self.lease)
        self.writer.begin()

    def turn(self) -> None:
        self.writer.turn()


@pytest.fixture
def store() -> Store:
    return Store(chassis=(HV1, HV2))


@pytest.fixture
def w(db) -> World:
    return world(db)


def tenant(w: World) -> dict[str, str]:
    """What a tenant of first light has."""
    ext, net = w.external(), w.network()
    sub = w.subnet(net["id"], dns_nameservers=["9.9.9.9"])
    router = w.router(external_gateway_info={"network_id": ext["id"]})
    leg = w.add_interface(router["id"], subnet_id=sub["id"])["port_id"]
    port = w.port(net["id"])
    body = {"floatingip": {"floating_network_id": ext["id"], "port_id": port["id"]}}
    floating = w.api.post("/v2.0/floatingips", body, ok=201)["floatingip"]
    return {
        "ext": ext["id"], "net": net["id"], "sub": sub["id"], "router": router["id"], "leg": leg, "port": port["id"],
        "fip": floating["id"], "group": port["security_groups"][0], "ip": port["fixed_ips"][0]["ip_address"],
        "address": floating["floating_ip_address"],
    }  # fmt: skip


def delete_all(w: World, t: dict[str, str]) -> None:
    w.api.delete(f"/v2.0/floatingips/{t['fip']}")
    w.api.delete(f"/v2.0/ports/{t['port']}")
    w.api.put(f"/v2.0/routers/{t['router']}/remove_router_interface", {"subnet_id": t["sub"]}, ok=200)
    w.api.delete(f"/v2.0/routers/{t['router']}")
    w.api.delete(f"/v2.0/networks/{t['net']}")
    w.admin.delete(f"/v2.0/networks/{t['ext']}")
    w.admin.delete(f"/v2.0/security-groups/{t['group']}")


def unsettled(db) -> list[str]:
    with db.transaction() as tx:
        return [
            f"{model.__name__} {row.id} {row.desired}"
            for model in MODELS
            for row in tx.scalars(select(model))
            if row.generation != row.observed_generation
        ]


def rows(db, model) -> list:
    with db.transaction() as tx:
        return list(tx.scalars(select(model)))


def test_what_is_wished_comes_about(w, db, store):
    t = tenant(w)
    Life(db, store).turn()
    assert unsettled(db) == []
    there = {key: content for key, (content, _) in store.rows.items()}
    port = there["Logical_Switch_Port", t["port"]]
    assert port.groups == {names.DROP_GROUP, names.port_group(t["group"])}
    assert port.columns["port_security"] == port.columns["addresses"]
    assert port.refs["dhcpv4_options"] == names.dhcp(t["sub"])
    metadata = there["Logical_Switch_Port", names.metadata_port(t["net"])]
    assert metadata.columns["type"] == "localport"
    assert "169.254.169.254" in metadata.columns["addresses"][0]
    options = there["DHCP_Options", names.dhcp(t["sub"])].columns["options"]
    md = metadata.columns["addresses"][0].split()[1]
    assert options["classless_static_route"] == f"{{169.254.169.254/32,{md}, 0.0.0.0/0,10.0.0.1}}"
    assert (options["mtu"], options["dns_server"]) == ("1442", "{9.9.9.9}")
    nats = {content.columns["type"]: content for (table, _), content in there.items() if table == "NAT"}
    assert (nats["snat"].columns["logical_ip"], nats["dnat_and_snat"].columns["external_ip"]) == ("10.0.0.0/24", t["address"])
    gateways = [content.columns for (table, _), content in there.items() if table == "Gateway_Chassis"]
    assert {(one["chassis_name"]) for one in gateways} == {"chassis-1", "chassis-2"}
    routes = [content.columns for (table, _), content in there.items() if table == "Logical_Router_Static_Route"]
    assert [(one["ip_prefix"], one["nexthop"]) for one in routes] == [("0.0.0.0/0", "203.0.113.1")]
    assert there["Logical_Switch_Port", names.localnet(t["ext"])].columns["options"] == {"network_name": "ext"}
    assert len([key for key in there if key[0] == "ACL"]) == 3 + 4
    assert w.api.get(f"/v2.0/floatingips/{t['fip']}")["floatingip"]["status"] == "ACTIVE"


def test_groups_stand_a_transaction_before_ports(w, db, store):
    t = tenant(w)
    Life(db, store).turn()
    first = {unit: n for n, units in reversed(list(enumerate(store.transactions))) for unit in units}
    assert first["drop", names.DROP_GROUP] < first["port", t["port"]]
    assert first["security_group", t["group"]] < first["port", t["port"]]
    assert all(first[unit] < first["port", t["port"]] for unit in first if unit[0] == "security_group_rule")


def test_deleting_all_leaves_nothing(w, db, store):
    t, life = tenant(w), Life(db, store)
    life.turn()
    delete_all(w, t)
    life.turn()
    assert {content.unit[0] for content, _ in store.rows.values()} == {"drop"}
    assert [row for model in MODELS for row in rows(db, model)] == []


def test_created_and_deleted_before_the_writer_looked(w, db, store):
    t = tenant(w)
    delete_all(w, t)
    Life(db, store).turn()
    assert [row for model in MODELS for row in rows(db, model)] == []


def test_an_idle_turn_writes_nothing(w, db, store):
    tenant(w)
    life = Life(db, store)
    life.turn()
    before = len(store.transactions)
    life.turn()
    assert len(store.transactions) == before


class Dying(MemoryNorthbound):
    """The process dies after the commit of its `left`th transaction in OVN, before SQL hears of it."""

    def __init__(self, store: Store, left: int) -> None:
        super().__init__(store)
        self.left = left

    def apply(self, fence, units) -> None:
        super().apply(fence, units)
        self.left -= 1
        if self.left < 0:
            raise SystemExit("killed")


@pytest.mark.parametrize("left", range(8))
def test_killed_between_ovn_and_sql(w, db, store, left):
    t = tenant(w)
    with pytest.raises(SystemExit):
        Life(db, store, Dying(store, left)).turn()
    Life(db, store).turn()
    assert unsettled(db) == []
    wished = {key: content for key, (content, _) in store.rows.items()}
    fresh = Store(chassis=(HV1, HV2))
    Life(db, fresh).turn()
    assert wished == {key: content for key, (content, _) in fresh.rows.items()}
    delete_all(w, t)
    with pytest.raises(SystemExit):
        Life(db, store, Dying(store, left % 4)).turn()
    Life(db, store).turn()
    assert [row for model in MODELS for row in rows(db, model)] == []
    assert {content.unit[0] for content, _ in store.rows.values()} == {"drop"}


def test_an_overtaken_writer_ends(w, db, store):
    old = Life(db, store)
    old.turn()
    new = Life(db, store)
    w.network()
    with pytest.raises((StaleFenceError, LostLeaseError)):
        old.turn()
    assert len(unsettled(db)) == 1
    new.turn()
    assert unsettled(db) == []


class Overtaken(MemoryNorthbound):
    """Another process becomes the writer while this one's transaction is being recorded."""

    def __init__(self, store: Store, overtake) -> None:
        super().__init__(store)
        self.overtake = overtake

    def apply(self, fence, units) -> None:
        super().apply(fence, units)
        if any(unit.kind == "network" for unit in units):
            self.overtake()


def test_an_overtaken_writer_records_nothing(w, db, store):
    w.network()
    with pytest.raises(LostLeaseError):
        Life(db, store, Overtaken(store, lambda: Life(db, store))).turn()
    assert len(unsettled(db)) == 1


def test_a_lease_that_ran_out_is_lost(db, store):
    lease = WriterLease(db, "slow", seconds=0.0)
    assert lease.claim()
    with pytest.raises(LostLeaseError):
        lease.check()


def test_a_dead_process_of_this_host_is_not_waited_for(db):
    child = subprocess.Popen(["sleep", "60"])
    first, second, elsewhere = (WriterLease(db, f"{host}/{pid}/x") for host, pid in (("a", child.pid), ("a", 1), ("b", 1)))
    assert first.claim()
    assert not second.claim()
    child.kill()
    child.wait(10)
    assert not elsewhere.claim()
    assert second.claim()
    assert second.fence == first.fence + 1


def test_one_refused_row_stops_no_other(w, db, store):
    nets = [w.network(f"n{n}")["id"] for n in range(5)]
    life = Life(db, store)
    life.engine.refuse = {("network", nets[2])}
    life.turn()
    assert unsettled(db) == [f"Network {nets[2]} present"]
    shown = w.api.get(f"/v2.0/networks/{nets[2]}")["network"]
    assert shown["status"] == "ERROR"
    life.engine.refuse.clear()
    life.writer._refused.clear()
    life.turn()
    assert unsettled(db) == []
    assert w.api.get(f"/v2.0/networks/{nets[2]}")["network"]["status"] == "ACTIVE"


def test_what_is_wired_is_active(w, db, store):
    t, life = tenant(w), Life(db, store)
    life.turn()
    path = f"/v2.0/ports/{t['port']}"
    assert w.api.get(path)["port"]["status"] == "DOWN"
    life.engine.set_up(t["port"], True)
    life.turn()
    assert w.api.get(path)["port"]["status"] == "ACTIVE"
    assert [port["id"] for port in w.api.get("/v2.0/ports?status=ACTIVE")["ports"]] == [t["port"]]
    life.engine.set_up(t["port"], False)
    life.turn()
    assert w.api.get(path)["port"]["status"] == "DOWN"


def test_unknown_units_go_and_foreign_drift_is_undone(w, db, store):
    t, life = tenant(w), Life(db, store)
    life.turn()
    life.engine.apply(life.lease.fence, [translate.network(1, NetworkIn("unknown", 1)), Unit("port", t["port"], 1, 1)])
    second = Life(db, store)
    second.turn()
    units = second.engine.units()
    assert ("network", "unknown") not in units
    assert ("port", t["port"]) in units


def test_after_a_restore_unknown_units_are_only_reported(w, db, store, caplog):
    life = Life(db, store)
    life.turn()
    life.engine.apply(life.lease.fence, [translate.network(1, NetworkIn("unknown", 1))])
    db.run(restored)
    Life(db, store).turn()
    assert ("network", "unknown") in life.engine.units()
    assert "does not know" in caplog.text


def test_gateways_follow_the_chassis(w, db, store):
    tenant(w)
    life = Life(db, store)
    life.turn()
    life.engine.set_chassis(HV2)
    life.turn()
    assert [key[1].split("_")[-1] for key in store.rows if key[0] == "Gateway_Chassis"] == ["chassis-2"]


def test_snat_follows_the_router(w, db, store):
    t, life = tenant(w), Life(db, store)
    w.api.put(f"/v2.0/floatingips/{t['fip']}", {"floatingip": {"port_id": None}}, ok=200)
    life.turn()
    assert [content.columns["type"] for (table, _), (content, _) in store.rows.items() if table == "NAT"] == ["snat"]
    w.api.put(f"/v2.0/routers/{t['router']}", {"router": {"external_gateway_info": {}}}, ok=200)
    life.turn()
    assert [key for key in store.rows if key[0] in ("NAT", "Gateway_Chassis", "Logical_Router_Static_Route")] == []


def test_ports_follow_their_network_and_subnet(w, db, store):
    """In the very next turn: the compare of the whole is minutes away."""
    t, life = tenant(w), Life(db, store)
    life.turn()

    def columns(table: str) -> list[dict]:
        return [content.columns for (name, _), (content, _) in store.rows.items() if name == table]

    def enabled() -> list[bool]:
        rows = [store.rows["Logical_Switch_Port", t[name]][0].columns["enabled"] for name in ("port", "leg")]
        return [*rows, store.rows["Logical_Router_Port", names.router_port(t["leg"])][0].columns["enabled"]]

    for up in (False, True):
        w.api.put(f"/v2.0/networks/{t['net']}", {"network": {"admin_state_up": up}}, ok=200)
        life.turn()
        assert enabled() == [up, up, up]
    [outer] = w.admin.get(f"/v2.0/subnets?network_id={t['ext']}")["subnets"]
    pools = [{"start": "203.0.113.2", "end": "203.0.113.253"}]
    w.admin.put(f"/v2.0/subnets/{outer['id']}", {"subnet": {"gateway_ip": "203.0.113.254", "allocation_pools": pools}}, ok=200)
    life.turn()
    assert [one["nexthop"] for one in columns("Logical_Router_Static_Route")] == ["203.0.113.254"]
    w.admin.put(f"/v2.0/subnets/{outer['id']}", {"subnet": {"gateway_ip": None}}, ok=200)
    life.turn()
    assert columns("Logical_Router_Static_Route") == []
    assert unsettled(db) == []


def test_a_server_port_lives_through_the_door(w, db, store):
    """create, bind, wire, release, as compute does."""
    t, life, who = tenant(w), Life(db, store), actor()
    with db.transaction() as tx:
        made = public.create_port(tx, who, network_id=t["net"], device_id="srv", device_owner="compute:nova")
        public.adopt_port(tx, who, t["port"], device_id="srv", device_owner="compute:nova")
        public.bind_ports(tx, "srv", "hv1", "chassis-1")
    foreign = w.port(w.network(by=w.other)["id"], w.other, device_id="srv")
    life.turn()
    assert store.rows["Logical_Switch_Port", made][0].columns["options"] == {"requested-chassis": "chassis-1"}
    life.engine.set_up(made, True)
    life.turn()
    with db.transaction() as tx:
        views = {view.id: view for view in public.ports_of(tx, ["srv"])["srv"]}
        assert foreign["id"] not in views
        assert (views[made].wired, views[made].host_id, views[made].created_by_compute) == (True, "hv1", True)
        assert views[t["port"]].floating_ips == (t["address"],)
        assert views[made].security_group_names == ("default",)
        assert views[made].tap == "tap" + made[:11]
        assert [net.id for net in public.available_networks(tx, who)] == [t["net"]]
        assert public.metadata_ports(tx, [t["net"]])[t["net"]].mtu == 1442
        assert public.security_groups_by_name(tx, who, ["default"]) == [t["group"]]
        public.release_ports(tx, "srv")
    with db.transaction() as tx:
        public.release_ports(tx, "srv")
        assert public.ports_of(tx, ["srv"]) == {}
    life.turn()
    assert ("Logical_Switch_Port", made) not in store.rows
    assert w.other.get(f"/v2.0/ports/{foreign['id']}")["port"]["device_id"] == "srv"
    kept = w.api.get(f"/v2.0/ports/{t['port']}")["port"]
    assert (kept["device_id"], kept["device_owner"]) == ("", "")


def test_the_process_serves_until_told_to_end(w, db, store):
    tenant(w)
    stop = threading.Event()
    engine = MemoryNorthbound(store)
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(serve(db, engine, stop, poll_seconds=0.05)))
    thread.start()
    for _ in range(1000):
        if not unsettled(db):
            break
        threading.Event().wait(0.05)
    stop.set()
    thread.join(50)
    assert ended == [0]
    assert unsettled(db) == []
    assert rows(db, Lease)[0].lease_until is None


class Flaky(MemoryNorthbound):
    """OVN does not answer the first `times` calls."""

    def __init__(self, store: Store, times: int) -> None:
        super().__init__(store)
        self.times = times

    def apply(self, fence, units) -> None:
        self.times -= 1
        if self.times >= 0:
            raise UnavailableError("no answer")
        super().apply(fence, units)


def test_ovn_away_is_waited_out(w, db, store):
    w.network()
    life = Life(db, store, Flaky(store, 1))
    with pytest.raises(EngineError):
        life.turn()
    life.turn()
    assert unsettled(db) == []
    assert rows(db, Network)[0].fault is None
    assert rows(db, Network)[0].project_id == PROJECT


class Watching(MemoryNorthbound):
    """Calls `before` as the first transaction with a subnet in it comes, and notes who ever shared an address."""

    def __init__(self, store: Store, before) -> None:
        super().__init__(store)
        self.before, self.shared = before, False

    def apply(self, fence, units) -> None:
        if self.before and any(unit.kind == "subnet" for unit in units):
            before, self.before = self.before, None
            before()
        super().apply(fence, units)
        ports = [content for (table, _), (content, _) in self.store.rows.items() if table == "Logical_Switch_Port"]
        held = [ip for port in ports for address in port.columns["addresses"] for ip in address.split()[1:]]
        self.shared = self.shared or len(held) != len(set(held))


def test_an_address_never_stands_twice(w, db, store):
    """A port is deleted and its address taken again in the middle of a turn: the removal comes first all the same."""
    t = tenant(w)
    Life(db, store).turn()

    def swap() -> None:
        w.api.delete(f"/v2.0/ports/{t['port']}")
        w.port(t["net"], fixed_ips=[{"ip_address": t["ip"]}])

    engine = Watching(store, swap)
    w.api.put(f"/v2.0/subnets/{t['sub']}", {"subnet": {"dns_nameservers": []}}, ok=200)
    Life(db, store, engine).turn()
    assert not engine.before
    assert not engine.shared
    assert unsettled(db) == []


def test_what_comes_in_the_middle_of_a_turn_waits_for_its_roots(w, db, store):
    """A group and its rules that are committed after groups were read are left for the next turn, and refused by nothing."""
    w.network()

    class Late(MemoryNorthbound):
        made = False

        def apply(self, fence, units) -> None:
            if not self.made and any(unit.kind == "network" for unit in units):
                self.made = True
                w.api.post("/v2.0/security-groups", {"security_group": {"name": "late"}}, ok=201)
                tenant(w)
            super().apply(fence, units)

    life = Life(db, store, Late(store))
    w.api.get("/v2.0/security-groups")
    for _ in range(2):
        life.turn()
        assert life.writer._refused == {}
    assert unsettled(db) == []


def test_a_port_that_is_deleted_in_the_middle_of_a_turn(w, db, store):
    """It is all that its batch held: nothing is left to apply or to record."""
    t = tenant(w)
    Life(db, store).turn()
    extra = w.port(t["net"])["id"]
    w.api.put(f"/v2.0/subnets/{t['sub']}", {"subnet": {"dns_nameservers": []}}, ok=200)
    life = Life(db, store, Watching(store, lambda: w.api.delete(f"/v2.0/ports/{extra}")))
    life.writer._compared = Deadline(60)
    life.turn()
    assert not life.engine.before
    assert ("port", extra) not in life.engine.units()
    assert unsettled(db) == []
