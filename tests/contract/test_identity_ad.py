"""A domain whose people are in an Active Directory, read as the runbook says: Samba's domain controller, which is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import func, select

from identity.engine import ldap as real
from identity.engine.ldap_directory import Directory
from identity.engine.ldap_types import DirectoryAway, names_of
from identity.models import Group, GroupMember
from identity.service import look
from tests.support import samba_ad
from tests.support.identity import Cloud, by_password, cheap_hashes
from tests.support.samba_ad import GROUPS, PASSWORD, READ, SUFFIX, SambaAd, group, person

MANY = dict(person(f"user{n:02}") for n in range(12))
ANN, BOB, EVE = (person(name)[0] for name in ("ann", "bob", "eve"))
ENTRIES = {
    **dict([
        person("ann", mail=["ann@ad.wolke.test"], description=["First"]), person("bob", enabled=False), person("eve"), person("Zoë"), *MANY.items(),
    ]),
    **dict([group("inner", ANN, BOB), group("middle", f"cn=inner,{GROUPS}"), group("outer", f"cn=middle,{GROUPS}", EVE), group("all", *MANY), group("none")]),
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[SambaAd]:
    with samba_ad.running(ENTRIES) as server:
        yield server


@pytest.fixture
def read(server):
    @contextmanager
    def read(**more: object) -> Iterator[Directory]:
        settings = server.settings(**more)
        with real.connect(settings) as connection:
            yield Directory(connection, settings)

    return read


def names(found) -> list[str]:
    return sorted(each.name for each in found)


def memberships(directory: Directory) -> set[tuple[str, str]]:
    return {(user.name, group.name) for user, group in directory.members(directory.groups(), directory.users())}


def test_users_are_read(read):
    with read() as directory:
        found = {user.name: user for user in directory.users()}
        assert sorted(found) == sorted(["ann", "bob", "eve", "Zoë", *(f"user{n:02}" for n in range(12))])
        assert found["ann"].extra == {"email": "ann@ad.wolke.test", "description": "First"}
        assert [found[name].enabled for name in ("ann", "bob", "Zoë")] == [True, False, True]
        assert directory.user_named("ANN") == found["ann"]
        assert names(directory.users("user0", "startswith")) == [f"user0{n}" for n in range(10)]


def test_a_guid_is_an_id(read, server):
    """As text in the form that Microsoft's tools show, which is the one that Keystone made ids from."""
    with read() as directory:
        ann, inner = directory.user_named("ann"), directory.groups("inner")[0]
        assert directory.user(ann.external_id) == ann
        assert directory.group(inner.external_id) == inner
        for nobody in ("", "x", "*", ann.external_id[:-1], str(UUID(int=0)), ann.external_id.encode().hex()):
            assert directory.user(nobody) is None
    with server.reader() as connection:
        [raw] = connection.search_s(ANN, 0, "(objectClass=*)", ["objectGUID"])[0][1]["objectGUID"]
    assert ann.external_id == str(UUID(bytes_le=raw))


def test_the_whole_domain_with_its_referrals(read):
    with read(
        user_tree_dn=SUFFIX, query_scope="sub", user_filter="(!(objectClass=computer))", user_id_attribute="cn", page_size=5
    ) as directory:
        assert {"ann", "Zoë", "user11", "Administrator", "Guest"} <= set(names(directory.users()))
        assert directory.user("ann, ann").name == "ann"


def test_passwords(read):
    with read() as directory:
        ann, bob, zoe = (directory.user_named(name) for name in ("ann", "bob", "Zoë"))
        assert directory.accepts(ann, PASSWORD)
        assert directory.accepts(zoe, PASSWORD)
        for user, password in ((ann, "wrong"), (ann, ""), (bob, PASSWORD), (None, PASSWORD)):
            assert not directory.accepts(user, password)


def test_groups_of_groups_are_followed_where_the_settings_say_so(read):
    flat = {("ann", "inner"), ("bob", "inner"), ("eve", "outer"), *((f"user{n:02}", "all") for n in range(12))}
    deep = flat | {(name, team) for name in ("ann", "bob") for team in ("middle", "outer")}
    for nested, wanted in ((False, flat), (True, deep)):
        with read(group_ad_nesting=nested) as directory:
            assert memberships(directory) == wanted
            found = {user.name: names(directory.groups_of(user)) for user in directory.users()}
        assert found == {name: sorted(team for who, team in wanted if who == name) for name in found}
    with read(group_ad_nesting=True, group_filter="(!(cn=middle))") as directory:  # what the settings leave out still leads on
        assert memberships(directory) == {pair for pair in deep if pair[1] != "middle"}


def test_a_member_is_known_by_his_id_and_a_group_by_its_name(read):
    """Between two connections people change their names, and groups too."""
    with read(group_ad_nesting=True) as directory:
        inner, none = directory.groups("inner")[0], directory.groups("none")[0]
        renamed = [replace(user, dn=f"cn=x,{user.dn}") for user in directory.users()]
        assert {user.name for user, _ in directory.members([inner], renamed)} == {"ann", "bob"}
        assert directory.members([none], renamed) == []
        with pytest.raises(DirectoryAway, match="another name"):
            directory.members([replace(none, dn=f"cn=x,{GROUPS}")], renamed)


@pytest.mark.parametrize("asked", ["member;range=0-0", "member;range=0-4", "Member;Range=0-10", "member;range=0-*", "member"])
def test_an_attribute_that_comes_in_parts_is_whole(server, asked):
    """Windows gives 1,500 values and says which, as Samba does when it is asked for a part."""
    with real.connect(server.settings()) as connection:
        [entry] = connection.search(GROUPS, "one", "(cn=all)", [asked, "cn"])
        [empty] = connection.search(GROUPS, "one", "(cn=none)", [asked])
    assert sorted(map(names_of, entry.all("member"))) == sorted(map(names_of, MANY))
    assert entry.all("cn") == ["all"]
    assert empty.all("member") == []


def test_a_group_that_has_gone_loses_its_members(server, db):
    """Also where groups have groups, and each look at members is about some of those that there are."""
    with cheap_hashes():
        cloud = Cloud(db)
        corp = cloud.make("domain", name="corp")["id"]
        options = {**READ, "url": f"ldap://{server.address}", "group_ad_nesting": True}
        cloud.admin("PUT", f"/v3/domains/{corp}/config", {"config": {"identity": {"driver": "ldap"}, "ldap": options}}, ok=201)
        server.add(dict([group("brief", ANN, EVE)]))
        members = select(func.count()).select_from(GroupMember).join(Group, Group.id == GroupMember.group_id).where(Group.name == "brief")
        try:
            assert look.sync(db, corp).members == 21
            assert db.run(lambda tx: tx.scalar(members)) == 2
        finally:
            with server.reader() as connection:
                connection.delete_s(f"cn=brief,{GROUPS}")
        assert look.sync(db, corp).members == 19
        assert db.run(lambda tx: tx.scalar(members)) == 0


def test_the_whole_way_through_the_api(server, db, monkeypatch):
    """A log-in with a role that a group of a group gives, and a look at everybody, by portions of the groups."""
    monkeypatch.setattr(look, "PORTION", 2)
    with cheap_hashes():
        cloud = Cloud(db)
        corp = cloud.make("domain", name="corp")["id"]
        options = {**READ, "url": f"ldap://127.0.0.1:1,ldap://{server.address}", "randomize_urls": True, "group_ad_nesting": True}
        cloud.admin("PUT", f"/v3/domains/{corp}/config", {"config": {"identity": {"driver": "ldap"}, "ldap": options}}, ok=201)
        done = look.sync(db, corp)
        assert (done.users, done.groups, done.members, done.disabled) == (16, 5, 19, 0)
        assert look.sync(db, corp) == done
        teams = {team["name"]: team["id"] for team in cloud.admin.get(f"/v3/groups?domain_id={corp}")["groups"]}
        inside = cloud.admin.get(f"/v3/groups/{teams['outer']}/users")["users"]
        assert sorted(user["name"] for user in inside) == ["ann", "bob", "eve"]
        project, role = cloud.make("project", name="p", domain_id=corp)["id"], cloud.role("member")
        cloud.admin("PUT", f"/v3/projects/{project}/groups/{teams['outer']}/roles/{role}", ok=204)
        body = by_password("ann", PASSWORD, domain=corp, scope={"project": {"id": project}})
        token = cloud.nobody("POST", "/v3/auth/tokens", body, ok=201).json["token"]
        assert "member" in {each["name"] for each in token["roles"]}
        for name, password in (("ann", "wrong"), ("bob", PASSWORD), ("", PASSWORD)):
            cloud.nobody("POST", "/v3/auth/tokens", by_password(name, password, domain=corp), ok=401)
