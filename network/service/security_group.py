"""The rules of security groups: a project's `default` group comes into being with its first use."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from common.auth import Actor
from common.db import Tx, lock_projects, wake
from network.models import PRESENT, Port, PortSecurityGroup, SecurityGroup, SecurityGroupRule
from network.service import errors, quota
from network.service.network import TOPIC, check_revision, owner
from network.service.visible import get, hold, lock, lock_mine, mine, visible_to

DEFAULT = "default"
NAMES = frozenset(
    {
        "ah", "dccp", "egp", "esp", "gre", "icmp", "icmpv6", "igmp", "ipip", "ipv6-encap", "ipv6-frag", "ipv6-icmp", "ipv6-nonxt",
        "ipv6-opts", "ipv6-route", "ospf", "pgm", "rsvp", "sctp", "tcp", "udp", "udplite", "vrrp",
    }
)  # fmt: skip
ETHERTYPES = {"ipv4": "IPv4", "ipv6": "IPv6"}
WITH_PORTS = {"tcp", "udp", "sctp", "6", "17", "132"}
ICMP = {"icmp", "icmpv6", "ipv6-icmp", "1", "58"}
CANONICAL = {"6": "tcp", "17": "udp", "132": "sctp", "1": "icmp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp"}
LAST_PORT = 65535


def _rule(group: SecurityGroup, direction: str, ethertype: str, remote_group_id: str | None = None) -> SecurityGroupRule:
    return SecurityGroupRule(
        security_group_id=group.id,
        project_id=group.project_id,
        direction=direction,
        ethertype=ethertype,
        remote_group_id=remote_group_id,
    )


def ensure_default(tx: Tx, project_id: str) -> str:
    """The id of the project's default group, made if this is its first use. Quotas do not refuse it.

    The unique index decides between transactions that come at once: the later one waits, then finds the row.
    """
    query = select(SecurityGroup.id).where(
        SecurityGroup.project_id == project_id, SecurityGroup.is_default, SecurityGroup.desired == PRESENT
    )
    found = tx.scalars(query).one_or_none()
    if found:
        return found
    lock_projects(tx, project_id)
    row = insert(SecurityGroup).values(project_id=project_id, name=DEFAULT, description="Default security group", is_default=True)
    made = tx.scalars(row.on_conflict_do_nothing().returning(SecurityGroup)).one_or_none()
    if made is None:
        return tx.scalars(query).one()
    for ethertype in ("IPv4", "IPv6"):
        tx.add(_rule(made, "egress", ethertype))
        tx.add(_rule(made, "ingress", ethertype, made.id))
    tx.flush()
    wake(tx, TOPIC)
    return made.id


def _name_allowed(name: str | None) -> None:
    if name is not None and name.lower() == DEFAULT:
        raise errors.conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")


def create(tx: Tx, actor: Actor, body: Mapping[str, Any]) -> SecurityGroup:
    """With the two rules that let everything out. Raises OverQuota, Conflict."""
    project = owner(actor, body)
    lock_projects(tx, project)
    ensure_default(tx, project)
    _name_allowed(body.get("name"))
    quota.claim(tx, project, "security_group")
    quota.claim(tx, project, "security_group_rule", 2)
    row = SecurityGroup(project_id=project, name=body.get("name") or "", description=body.get("description") or "")
    tx.add(row)
    tx.flush()
    tx.add_all([_rule(row, "egress", "IPv4"), _rule(row, "egress", "IPv6")])
    tx.flush()
    wake(tx, TOPIC)
    return row


def update(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any], revision: int | None = None) -> SecurityGroup:
    """Raises NotFound, Conflict."""
    row = lock_mine(tx, actor, SecurityGroup, id, "update")
    check_revision(row.generation, revision)
    if "name" in body and body["name"] != row.name:
        if row.is_default:
            raise errors.conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
        _name_allowed(body["name"])
        row.name = body["name"]
    if "description" in body:
        row.description = body["description"] or ""
    row.touch()
    tx.flush()
    wake(tx, TOPIC)
    return row


def delete(tx: Tx, actor: Actor, id: str, revision: int | None = None) -> None:
    """With its rules, and others' rules that name it. Raises NotFound, Conflict while a port uses it."""
    row = lock_mine(tx, actor, SecurityGroup, id, "delete")
    check_revision(row.generation, revision)
    if row.is_default and not actor.is_admin:
        raise errors.conflict("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
    used = select(PortSecurityGroup.port_id).join(Port, Port.id == PortSecurityGroup.port_id)
    if tx.scalars(used.where(PortSecurityGroup.security_group_id == id, Port.desired == PRESENT)).first():
        raise errors.conflict("SecurityGroupInUse", f"Security Group {id} in use.")
    rules = select(SecurityGroupRule).where(
        or_(SecurityGroupRule.security_group_id == id, SecurityGroupRule.remote_group_id == id), SecurityGroupRule.desired == PRESENT
    )
    for rule in tx.scalars(rules):
        rule.remove()
    row.remove()
    wake(tx, TOPIC)


def _ethertype(body: Mapping[str, Any]) -> str:
    given = body.get("ethertype")
    found = ETHERTYPES.get("ipv4" if given is None else given.lower())
    if found is None:
        raise errors.invalid(f"'{given}' is not in ['IPv4', 'IPv6'] (ethertype)")
    return found


def _protocol(body: Mapping[str, Any], ethertype: str) -> str | None:
    """The protocol's name, or its number; None is any. Raises BadRequest."""
    given = body.get("protocol")
    text = "any" if given is None else str(given).lower()
    if text.isdecimal() and int(text) <= 255:
        text = str(int(text))
    elif text not in NAMES and text != "any":
        values = ", ".join(["None", *sorted(NAMES)])
        raise errors.bad(
            f"Security group rule protocol {given} not supported. Only protocol values [{values}] and integer representations "
            "[0 to 255] are supported.",
            type="SecurityGroupRuleInvalidProtocol",
        )
    if text in ("any", "0"):
        return None
    return _for_ethertype(text, ethertype)


def _for_ethertype(protocol: str, ethertype: str) -> str:
    """ICMP is another protocol in IPv6. Raises BadRequest for what IPv4 has not."""
    if ethertype == "IPv4" and (protocol == "58" or "v6" in protocol):
        message = f"Invalid ethertype {ethertype} for protocol {protocol}."
        raise errors.bad(message, type="SecurityGroupEthertypeConflictWithProtocol")
    return "ipv6-icmp" if protocol == "icmp" and ethertype == "IPv6" else protocol


def _bound(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    return None if value is None else int(value)


def _ports(body: Mapping[str, Any], protocol: str | None) -> tuple[int | None, int | None]:
    """Port range, or ICMP type and code. Raises BadRequest."""
    low, high = _bound(body, "port_range_min"), _bound(body, "port_range_max")
    if low is None and high is None:
        return None, None
    if protocol in ICMP:
        return _icmp(low, high)
    if protocol not in WITH_PORTS:
        message = f"Invalid protocol {protocol} for port range, only supported for TCP, UDP and SCTP."
        raise errors.bad(message, type="SecurityGroupInvalidProtocolForPort")
    for value in filter(None, (low, high)):
        _port_value(value)
    if low is None or high is None or low > high:
        raise errors.bad("For TCP/UDP protocols, port_range_min must be <= port_range_max", type="SecurityGroupInvalidPortRange")
    return low, high


def _port_value(value: int) -> None:
    if not 0 <= value <= LAST_PORT:
        raise errors.bad(f"Invalid value for port {value}", type="SecurityGroupInvalidPortValue")


def _icmp(low: int | None, high: int | None) -> tuple[int | None, int | None]:
    """Type and code."""
    for what, value in (("type (port_range_min)", low), ("code (port_range_max)", high)):
        if value is not None and not 0 <= value <= 255:
            raise errors.bad(f"Invalid value for ICMP {what} {value}. It must be 0 to 255.", type="SecurityGroupInvalidIcmpValue")
    if low is None:
        message = f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing."
        raise errors.bad(message, type="SecurityGroupMissingIcmpType")
    return low, high


def _prefix(body: Mapping[str, Any], ethertype: str) -> str | None:
    """The prefix with the host bits that it was given with; an address alone is a range of one. Raises BadRequest."""
    given = body.get("remote_ip_prefix")
    if given is None or given == "":
        return None
    if body.get("remote_group_id"):
        raise errors.bad("Only remote_ip_prefix or remote_group_id may be provided.", type="SecurityGroupRemoteGroupAndRemoteIpPrefix")
    prefix = errors.interface_of("remote_ip_prefix", given)
    if f"IPv{prefix.version}" != ethertype:
        message = f"Conflicting value ethertype {ethertype} for CIDR {given}"
        raise errors.bad(message, type="SecurityGroupRuleParameterConflict")
    return prefix.with_prefixlen


def create_rule(tx: Tx, actor: Actor, body: Mapping[str, Any]) -> SecurityGroupRule:
    """Raises NotFound (a group), OverQuota, BadRequest, Conflict (the same rule is there)."""
    group = get(tx, actor, SecurityGroup, body["security_group_id"])
    quota.claim(tx, group.project_id, "security_group_rule")
    group = lock(tx, SecurityGroup, group.id, actor)
    mine(actor, group, "create_security_group_rule")
    ethertype = _ethertype(body)
    protocol = _protocol(body, ethertype)
    low, high = _ports(body, protocol)
    remote = body.get("remote_group_id") or None
    if remote:
        hold(tx, SecurityGroup, remote, actor)
    prefix = _prefix(body, ethertype)
    wanted = {
        "direction": body["direction"],
        "ethertype": ethertype,
        "protocol": protocol,
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": prefix,
        "remote_group_id": remote,
    }
    _new(tx, group, wanted)
    row = SecurityGroupRule(security_group_id=group.id, project_id=group.project_id, description=body.get("description") or "", **wanted)
    tx.add(row)
    tx.flush()
    wake(tx, TOPIC)
    return row


def normalized(prefix: str | None) -> str | None:
    """A rule's prefix without host bits."""
    return prefix and str(ipaddress.ip_network(prefix, strict=False))


def _meaning(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two rules the same: `tcp` is `6`, and a prefix of everything is none."""
    net = normalized(values["remote_ip_prefix"])
    prefix = None if net in ("0.0.0.0/0", "::/0") else net
    protocol = CANONICAL.get(values["protocol"] or "", values["protocol"])
    rest = ("direction", "ethertype", "port_range_min", "port_range_max", "remote_group_id")
    return protocol, prefix, *(values[name] for name in rest)


def _new(tx: Tx, group: SecurityGroup, wanted: Mapping[str, Any]) -> None:
    """Raise Conflict when the group has this rule. The group is locked."""
    query = select(SecurityGroupRule).where(SecurityGroupRule.security_group_id == group.id, SecurityGroupRule.desired == PRESENT)
    for rule in tx.scalars(query):
        if _meaning({name: getattr(rule, name) for name in wanted}) == _meaning(wanted):
            raise errors.conflict("SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {rule.id}.")


def delete_rule(tx: Tx, actor: Actor, id: str, revision: int | None = None) -> None:
    """Raises NotFound."""
    row = lock_mine(tx, actor, SecurityGroupRule, id, "delete")
    check_revision(row.generation, revision)
    row.remove()
    wake(tx, TOPIC)


def for_port(tx: Tx, actor: Actor, project_id: str, ids: Iterable[str] | None) -> list[str]:
    """The groups a port of `project_id` gets: those named, each visible to the actor, or its default group. Raises NotFound."""
    if ids is None:
        return [ensure_default(tx, project_id)]
    wanted = list(dict.fromkeys(ids))
    query = select(SecurityGroup.id).where(SecurityGroup.id.in_(wanted), SecurityGroup.desired == PRESENT, visible_to(actor, SecurityGroup))
    found = set(tx.scalars(query.with_for_update(read=True, key_share=True)))
    for id in wanted:
        if id not in found:
            raise errors.missing("security_group", id)
    return wanted


def by_name(tx: Tx, actor: Actor, names: Sequence[str]) -> list[str]:
    """Ids of the actor's groups, each given by name or id. Raises NotFound, Conflict (a name twice)."""
    project = actor.project
    ensure_default(tx, project)
    query = select(SecurityGroup.id, SecurityGroup.name).where(
        SecurityGroup.project_id == project, SecurityGroup.desired == PRESENT,
        or_(SecurityGroup.name.in_(names), SecurityGroup.id.in_(names)),
    )  # fmt: skip
    rows = tx.execute(query).all()
    found = []
    for name in dict.fromkeys(names):
        ids = [row.id for row in rows if row.id == name] or [row.id for row in rows if row.name == name]
        if not ids:
            raise errors.missing("security_group", name)
        if len(ids) > 1:
            raise errors.conflict("NoUniqueMatch", f"Multiple security groups found matching '{name}'. Use an ID to be more specific.")
        found.append(ids[0])
    return found


WITH_RULES = selectinload(SecurityGroup.rules)
