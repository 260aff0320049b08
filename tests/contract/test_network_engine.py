"""What both northbound engines promise."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from network.engine import names, translate
from network.engine.base import MissingReferenceError, Northbound, StaleFenceError, UnavailableError
from network.engine.desired import Stamp, Unit
from network.engine.views import (
    AddressIn,
    FloatingIpIn,
    GatewayIn,
    InterfaceIn,
    NetworkIn,
    PortIn,
    RouterIn,
    RuleIn,
    SubnetIn,
)
from tests.contract.network_planes import MemoryPlane, OvsdbPlane, Plane

NET, EXT, SUB, PORT, ROUTER, FIP, GROUP, RULE = (f"{kind}-0000-4000-8000" for kind in "nesprfgu")
OTHER = "other-group"
real = pytest.mark.skipif(not shutil.which("ovsdb-server"), reason="needs ovsdb-server")


@pytest.fixture(params=["memory", pytest.param("ovsdb", marks=real)])
def plane(request: pytest.FixtureRequest) -> Iterator[Plane]:
    made: Plane = MemoryPlane() if request.param == "memory" else OvsdbPlane()
    yield made
    made.close()


@pytest.fixture
def engine(plane: Plane) -> Northbound:
    made = plane.engine()
    made.acquire(1)
    return made


def eventually(check: Callable[[], bool]) -> None:
    limit = time.monotonic() + 90
    while not check():
        assert time.monotonic() < limit, "not within 90 s"
        time.sleep(0.01)


def port(generation: int = 1, groups: tuple[str, ...] = (GROUP,), mac: str = "fa:16:3e:00:00:01") -> PortIn:
    return PortIn(PORT, generation, NET, mac, addresses=(AddressIn(SUB, "10.0.0.5", 24, True),), security_groups=groups)


def base_units(epoch: int = 1) -> list[Unit]:
    subnet = SubnetIn(SUB, 1, NET, "10.0.0.0/24", "10.0.0.1", True, 1442, ("9.9.9.9",), (), "10.0.0.2", "fa:16:3e:0:0:2")
    return [
        translate.network(epoch, NetworkIn(NET, 1)),
        translate.network(epoch, NetworkIn(EXT, 1, "flat", "ext")),
        translate.subnet(epoch, subnet),
        translate.router(epoch, RouterIn(ROUTER, 1)),
        translate.drop_group(epoch),
        translate.security_group(epoch, GROUP, 1),
        translate.security_group(epoch, OTHER, 1),
        translate.rule(epoch, RuleIn(RULE, 1, GROUP, "ingress", "IPv4", "tcp", 22, 22, None, GROUP)),
    ]


def leg_units() -> list[Unit]:
    inner = PortIn("leg", 1, NET, "fa:16:3e:00:00:fe", translate.OWNER_INTERFACE, ROUTER, addresses=(AddressIn(SUB, "10.0.0.1", 24, True),))
    outer = PortIn(
        "gw", 1, EXT, "fa:16:3e:00:01:fe", translate.OWNER_GATEWAY, ROUTER, addresses=(AddressIn("x", "203.0.113.5", 24, False),)
    )
    return [
        translate.interface(1, InterfaceIn(inner, True, "203.0.113.5", ("10.0.0.0/24",))),
        translate.gateway(1, GatewayIn(outer, True, "203.0.113.1", (("h1", 2), ("h2", 1)))),
        translate.floating_ip(1, FloatingIpIn(FIP, 1, "203.0.113.9", "10.0.0.5", ROUTER)),
    ]


def expected(units: list[Unit]) -> dict[tuple[str, str], tuple[object, ...]]:
    found = {}
    for unit in units:
        for row in unit.rows:
            columns = {name: tuple(sorted(v)) if isinstance(v, tuple) else v for name, v in row.columns().items()}
            refs = {column: ref.key if ref else None for column, ref in row.refs.items()}
            parent = row.parent.key if row.parent else None
            found[row.TABLE, row.key] = (unit.name, Stamp(unit.epoch, unit.generation), parent, columns, refs, row.groups)
    return found


def actual(engine: Northbound) -> dict[tuple[str, str], tuple[object, ...]]:
    return {key: (one.unit, one.stamp, one.parent, dict(one.columns), dict(one.refs), one.groups) for key, one in engine.content().items()}


def test_everything_written_is_read_back(engine: Northbound) -> None:
    units = base_units()
    engine.apply(1, units)
    later = [translate.port(1, port()), *leg_units()]
    engine.apply(1, later)
    eventually(lambda: actual(engine) == expected([*units, *later]))
    assert engine.units() == {unit.name: Stamp(1, 1) for unit in [*units, *later]}


def test_repeating_changes_nothing_and_an_edit_changes_only_itself(engine: Northbound) -> None:
    units = [*base_units(), translate.port(1, port()), *leg_units()]
    engine.apply(1, units)
    engine.apply(1, units)
    changed = translate.port(1, port(2, (OTHER,), "fa:16:3e:00:00:77"))
    engine.apply(1, [changed])
    eventually(lambda: actual(engine) == expected([*(u for u in units if u.name != changed.name), changed]))
    assert actual(engine)["Logical_Switch_Port", PORT][5] == {names.port_group(OTHER), names.DROP_GROUP}


def test_absent_units_leave_nothing(engine: Northbound) -> None:
    units = [*base_units(), translate.port(1, port()), *leg_units()]
    engine.apply(1, units)
    gone = [Unit(unit.kind, unit.id, 1, 2) for unit in reversed(units)]
    engine.apply(1, gone)
    eventually(lambda: engine.content() == {})
    engine.apply(1, gone)
    assert engine.units() == {}


def test_a_parent_that_goes_takes_its_children(engine: Northbound) -> None:
    engine.apply(1, [*base_units(), translate.port(1, port())])
    engine.apply(1, [Unit("network", NET, 1, 2)])
    eventually(lambda: ("port", PORT) not in engine.units())
    engine.apply(1, [Unit("port", PORT, 1, 2)])


def test_a_floating_ip_moves_to_another_router(engine: Northbound) -> None:
    engine.apply(1, [*base_units(), translate.router(1, RouterIn("second", 1)), *leg_units()])
    engine.apply(1, [translate.floating_ip(1, FloatingIpIn(FIP, 2, "203.0.113.9", "10.0.0.7", "second"))])
    eventually(lambda: actual(engine)["NAT", f"fip-{FIP}"][2] == names.router("second"))
    assert len([key for key in engine.content() if key[0] == "NAT"]) == 2


def test_dhcp_that_goes_empties_the_reference(engine: Northbound) -> None:
    engine.apply(1, [*base_units(), translate.port(1, port())])
    engine.apply(1, [Unit("subnet", SUB, 1, 2)])
    eventually(lambda: actual(engine)["Logical_Switch_Port", PORT][4] == {"dhcpv4_options": None})


def test_a_missing_reference_writes_nothing(engine: Northbound) -> None:
    with pytest.raises(MissingReferenceError, match="which OVN lacks"):
        engine.apply(1, [translate.network(1, NetworkIn(NET, 1)), translate.port(1, port())])
    assert engine.units() == {}


def test_a_stale_writer_is_refused(plane: Plane, engine: Northbound) -> None:
    engine.apply(1, [translate.network(1, NetworkIn(NET, 1))])
    second = plane.engine()
    second.acquire(2)
    with pytest.raises(StaleFenceError):
        engine.apply(1, [translate.network(1, NetworkIn("late", 1))])
    with pytest.raises(StaleFenceError):
        engine.acquire(1)
    second.apply(2, [translate.network(1, NetworkIn("new", 1))])
    eventually(lambda: set(second.units()) == {("network", NET), ("network", "new")})


def test_wired_follows_the_chassis(plane: Plane, engine: Northbound) -> None:
    engine.apply(1, [*base_units(), translate.port(1, port())])
    eventually(lambda: engine.wired().get(PORT) is False)
    engine.take_wired()
    plane.set_up(PORT, True)
    eventually(lambda: engine.wired()[PORT])
    assert engine.take_wired() == {PORT: True}
    assert engine.take_wired() == {}
    assert engine.wait(5)
    engine.apply(1, [Unit("port", PORT, 1, 2)])
    eventually(lambda: PORT not in engine.wired())
    eventually(lambda: engine.take_wired() == {PORT: False})


def test_many_ports_in_one_transaction(engine: Northbound) -> None:
    engine.apply(1, base_units())
    units = [translate.port(1, PortIn(f"p{n}", 1, NET, f"fa:16:3e:00:01:{n:02x}", security_groups=(GROUP,))) for n in range(200)]
    engine.apply(1, units)
    eventually(lambda: len(engine.units()) == 208)


@real
def test_the_database_is_killed_and_comes_back():
    plane = OvsdbPlane()
    try:
        engine = plane.engine()
        engine.acquire(1)
        engine.apply(1, [*base_units(), translate.port(1, port())])
        plane.kill()
        plane.start()
        changed = translate.port(1, port(2, (OTHER,)))

        def applied() -> bool:
            try:
                engine.apply(1, [changed])
            except UnavailableError:
                return False
            return True

        eventually(applied)
        eventually(lambda: actual(engine) == expected([*base_units(), changed]))
        plane.set_up(PORT, True)
        eventually(lambda: engine.wired()[PORT])
    finally:
        plane.close()
