"""Which host a server goes to: one query judges every host, and says how many each constraint removed.

The claim locks one of the best hosts, sums its allocations again and writes the row that is the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, Select, case, delete, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from common.config import CONF
from common.db import Tx, clock
from compute.models import Allocation, Host, Server

BEST = 4
OK = "ok"
SENTENCES = {
    "host": "{n} not the host that was asked for",
    "zone": "{n} not in the availability zone {zone}",
    "disabled": "{n} disabled",
    "down": "{n} down (not heard of for {down} s)",
    "vcpus": "{n} without {vcpus} free vCPUs",
    "memory": "{n} without {memory_mib} MiB of free memory",
    "disk": "{n} without {disk_gib} GiB of free disk",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a server needs. MiB, GiB; `zone` and `host` are names."""

    vcpus: int
    memory_mib: int
    disk_gib: int
    zone: str | None = None
    host: str | None = None

    @classmethod
    def of(cls, server: Server) -> Wish:
        """The wish of a server's row."""
        return cls(server.vcpus, server.memory_mib, server.disk_gib, server.availability_zone, server.forced_host)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`best`: ids of hosts that fit, best first; `removed`: how many hosts each constraint removed, each host counted once."""

    best: tuple[str, ...]
    removed: dict[str, int]

    @property
    def may_pass(self) -> bool:
        """Whether a host would fit but for not being heard of at the moment."""
        return not self.best and bool(self.removed.get("down"))

    def sentence(self, wish: Wish) -> str:
        """Why there is no host, for the tenant."""
        total = sum(self.removed.values())
        if not total:
            return "No valid host was found. There is no host."
        words = {"zone": wish.zone, "vcpus": wish.vcpus, "memory_mib": wish.memory_mib, "disk_gib": wish.disk_gib}
        parts = [
            text.format(n=self.removed[key], down=CONF.compute.host_down_seconds, **words)
            for key, text in SENTENCES.items()
            if self.removed.get(key)
        ]
        return f"No valid host was found. Of {total} host{'s' if total > 1 else ''}: {', '.join(parts)}."


def is_up() -> ColumnElement[bool]:
    """SQL: the host was heard of late."""
    allowed = literal(timedelta(seconds=CONF.compute.host_down_seconds), Interval())
    return func.coalesce(Host.seen_at > clock() - allowed, False)


def judge(tx: Tx, wish: Wish, *, best: int = BEST) -> Verdict:
    """Weigh every host. One query, whatever their number."""
    rows = tx.execute(_judgement(wish, best)).all()
    fitting = next((tuple(row.ids) for row in rows if row.verdict == OK), ())
    return Verdict(fitting, {row.verdict: int(row.hosts) for row in rows if row.verdict != OK})


def _judgement(wish: Wish, best: int) -> Select[*tuple[Any, ...]]:
    sums = _sums().group_by(Allocation.host_id).subquery()
    free = {name: capacity - func.coalesce(sums.c[name], 0) for name, capacity in _capacities().items()}
    verdict = case(*[(failed, name) for name, failed in _failures(wish, free)], else_=OK).label("verdict")
    share = (free["memory_mib"] / func.greatest(Host.memory_mib, 1)).label("share")
    judged = select(Host.id, verdict, share).outerjoin(sums, sums.c.host_id == Host.id).subquery()
    order = (judged.c.share.desc(), func.random())
    ranked = select(
        judged.c.id, judged.c.verdict, func.row_number().over(partition_by=judged.c.verdict, order_by=order).label("rank")
    ).subquery()
    ids = func.array_agg(aggregate_order_by(ranked.c.id, ranked.c.rank)).filter(ranked.c.rank <= best)
    return select(ranked.c.verdict, func.count().label("hosts"), ids.label("ids")).group_by(ranked.c.verdict)


def _sums() -> Select[*tuple[Any, ...]]:
    return select(
        Allocation.host_id,
        func.sum(Allocation.vcpus).label("vcpus"),
        func.sum(Allocation.memory_mib).label("memory_mib"),
        func.sum(Allocation.disk_gib).label("disk_gib"),
    )


def _capacities() -> dict[str, ColumnElement[Any]]:
    return {
        "vcpus": Host.vcpus * CONF.compute.cpu_allocation_ratio,
        "memory_mib": Host.memory_mib * CONF.compute.ram_allocation_ratio,
        "disk_gib": Host.disk_gib + 0,
    }


def _failures(wish: Wish, free: dict[str, ColumnElement[Any]]) -> Iterator[tuple[str, ColumnElement[bool]]]:
    """The constraints, in the order in which a host is asked; it is counted under the first that it fails."""
    if wish.host is not None:
        yield "host", Host.name != wish.host
    if wish.zone is not None:
        yield "zone", Host.availability_zone != wish.zone
    yield "disabled", ~Host.enabled
    yield "vcpus", free["vcpus"] < wish.vcpus
    yield "memory", free["memory_mib"] < wish.memory_mib
    # A host that names no disk of its own keeps root disks in the cluster's pools only.
    yield "disk", (Host.disk_gib > 0) & (free["disk_gib"] < wish.disk_gib)
    # Last: what is counted here would fit if it were heard of.
    yield "down", ~is_up()


def claim(tx: Tx, server: Server, best: Sequence[str]) -> str | None:
    """Give the server room on one of the hosts `best` and answer the host's id; None when none of them has room any more.

    Prefers a host that no other claim holds. Repeated safely: a server that has an allocation keeps it.
    """
    held = tx.execute(select(Allocation.host_id).where(Allocation.server_id == server.id)).scalar()
    if held is not None:
        return held
    for host_id in _lock_one(tx, best):
        if _has_room(tx, host_id, Wish.of(server)):
            tx.add(
                Allocation(
                    server_id=server.id, host_id=host_id, vcpus=server.vcpus, memory_mib=server.memory_mib, disk_gib=server.disk_gib
                )
            )  # fmt: skip
            tx.flush()
            return host_id
    return None


def _lock_one(tx: Tx, best: Sequence[str]) -> list[str]:
    """At most one host of `best`, locked: the best that is free, or, when all are held, the best once it is."""
    if not best:
        return []
    wanted = select(Host.id).where(Host.id.in_(best)).order_by(func.array_position(list(best), Host.id)).limit(1)
    free = tx.execute(wanted.with_for_update(skip_locked=True, key_share=True)).scalars().all()
    return list(free or tx.execute(wanted.with_for_update(key_share=True)).scalars())


def _has_room(tx: Tx, host_id: str, wish: Wish) -> bool:
    sums = _sums().where(Allocation.host_id == host_id).group_by(Allocation.host_id).subquery()
    free = {name: capacity - func.coalesce(sums.c[name], 0) for name, capacity in _capacities().items()}
    failed = or_(*[condition for _, condition in _failures(wish, free)])
    asked = select(Host.id).outerjoin(sums, sums.c.host_id == Host.id).where(Host.id == host_id, ~failed)
    return tx.execute(asked).scalar() is not None


def release(tx: Tx, server_id: str) -> str | None:
    """Give the server's room back; the host that it was on, if it was on one."""
    return tx.scalar(delete(Allocation).where(Allocation.server_id == server_id).returning(Allocation.host_id))
