"""What identity asks of a directory, of both sides: a real slapd, and the twin in memory."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from identity.engine import ldap as real
from identity.engine import ldap_directory
from identity.engine.ldap_directory import Directory
from identity.engine.ldap_memory import Memory
from identity.engine.ldap_types import Ambiguous, DirectoryAway, Opener, Settings, names_of
from tests.support import slapd
from tests.support.identity import Cloud, by_password, cheap_hashes
from tests.support.slapd import LIMITED, ODD, ODD_DN, PEOPLE, READ, SUFFIX, Slapd

MANY = dict(slapd.person(f"cn=user{n:03},ou=Many,{SUFFIX}", f"user{n:03}", f"user{n:03}") for n in range(150))
# Two of one name, two of one id, two whose names differ in case, two of one name of whom one has another too; and groups of one name.
LIKE, FAR = f"ou=Like,{SUFFIX}", f"ou=Far,ou=Like,{SUFFIX}"
TWINS = dict([
    *[(dn, {"objectClass": ["organizationalUnit"], "ou": [dn.split(",")[0][3:]]}) for dn in (LIKE, FAR)],
    slapd.person(f"cn=eve1,{LIKE}", "eve1", "eve"), slapd.person(f"cn=eve2,{LIKE}", "eve2", "eve"),
    slapd.person(f"cn=fay,{LIKE}", "fay", "fay"), slapd.person(f"cn=fay,{FAR}", "fay", "far"),
    slapd.person(f"cn=gil,{LIKE}", "gil", "Gil"), slapd.person(f"cn=gil2,{LIKE}", "gil2", "gIL"),
    slapd.person(f"cn=iva1,{LIKE}", "iva1", "iva"), (f"cn=iva2,{LIKE}", {**slapd.person("", "iva2", "iva")[1], "uid": ["iva", "jo"]}),
    *[(f"cn={cn},{LIKE}", {"objectClass": ["groupOfNames"], "cn": [cn], "ou": [ou], "member": [f"cn={member},{LIKE}"]}) for cn, ou, member in (
        ("g1", "G", "eve1"), ("g2", "G", "fay"), ("g3", "H", "eve1"),
    )],
])  # fmt: skip
ALL = {**PEOPLE, **TWINS, f"ou=Many,{SUFFIX}": {"objectClass": ["organizationalUnit"], "ou": ["Many"]}, **MANY}


@pytest.fixture(scope="module")
def server() -> Iterator[Slapd]:
    with slapd.running(ALL) as server:
        yield server


class Side:
    def __init__(self, opener: Opener, settings: Settings) -> None:
        self.opener, self.settings = opener, settings

    @contextmanager
    def directory(self, **more: object) -> Iterator[Directory]:
        settings = replace(self.settings, **more)
        with self.opener(settings) as connection:
            yield Directory(connection, settings)


@pytest.fixture(params=["memory", "slapd"])
def side(request) -> Side:
    if request.param == "memory":
        return Side(Memory(ALL).connect, Settings(**READ))
    server = request.getfixturevalue("server")
    return Side(real.connect, server.settings())


def names(found) -> list[str]:
    return sorted(each.name for each in found)


def test_users_are_read(side):
    with side.directory() as directory:
        found = {user.name: user for user in directory.users()}
    assert sorted(found) == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]
    ann = found["ann"]
    assert (ann.external_id, ann.enabled) == ("ann", True)
    assert ann.extra == {"email": "ann@acme.test", "description": "First"}
    assert found["bob"].enabled is False
    assert found["Cäsar"].enabled is True
    odd = found["o'hara*)(uid=*"]
    assert odd.external_id == ODD
    assert names_of(odd.dn) == names_of(ODD_DN)


def test_scope_and_filter_narrow(side):
    with side.directory(query_scope="sub") as directory:
        assert "dan" in names(directory.users())
    with side.directory(user_filter="(mail=*)") as directory:
        assert names(directory.users()) == ["ann", "o'hara*)(uid=*"]
    with side.directory(user_filter="|(uid=ann)(!(mail=*))") as directory:
        assert names(directory.users()) == ["Cäsar", "ann", "bob"]
    with side.directory(user_objectclass="posixAccount") as directory:
        assert directory.users() == []


def test_names_filter_in_the_directory(side):
    with side.directory() as directory:
        assert names(directory.users("ann")) == ["ann"]
        assert names(directory.users("AN", "startswith")) == ["ann"]
        assert names(directory.users("a", "contains")) == ["Cäsar", "ann", "o'hara*)(uid=*"]
        assert names(directory.users("ob", "endswith")) == ["bob"]
        assert names(directory.users("nn", "startswith")) == []


@pytest.mark.parametrize("name", ["*", "a*", "ann)(uid=*", "\\2a", "", "\x00", "ann\x00", "ä" * 3000, "(", "o'hara*)(uid=* "])
def test_no_name_is_a_pattern(side, name):
    with side.directory() as directory:
        found = directory.user_named(name)
        assert found is None or found.name == name.strip()
        assert directory.user(name) is None
        assert directory.group(name) is None


def test_odd_names_are_found_and_let_in(side):
    with side.directory() as directory:
        odd = directory.user_named("o'hara*)(uid=*")
        assert odd == directory.user(ODD)
        assert directory.accepts(odd, "pw-o'hara*)(uid=*")
        assert names(directory.groups_of(odd)) == ["Odd (*)"]


def test_passwords(side):
    with side.directory() as directory:
        ann, bob = directory.user_named("ann"), directory.user_named("bob")
        assert directory.accepts(ann, "pw-ann")
        for wrong in ("", " ", "pw-bob", "pw-ann\x00", "pw-ann ", "PW-ANN", "é" * 5000):
            assert not directory.accepts(ann, wrong)
        assert directory.accepts(bob, "pw-bob")  # who is disabled is ours to refuse
        for password in ("", "pw-ann"):
            assert not directory.accepts(None, password)
        assert directory.user_named("ann") == ann  # the connection is still the reader's


def test_case_is_the_directorys_business(side):
    with side.directory() as directory:
        assert directory.user_named("ANN").name == "ann"
        assert directory.user("ANN") is None


def test_a_name_that_several_answer_to_is_nobodys(side):
    with side.directory(user_name_attribute="objectClass") as directory:
        for name in ("inetOrgPerson", "INETORGPERSON"):
            with pytest.raises(Ambiguous):
                directory.user_named(name)
        assert directory.user_named("organizationalRole") is None


def test_whoever_shares_a_name_or_an_id_is_doubtful_in_every_search(side):
    doubts = {"eve1": "name", "eve2": "name", "fay": "id", "gil": "", "gil2": "", "iva1": "name", "iva2": "name"}
    with side.directory(user_tree_dn=LIKE, query_scope="sub") as directory:
        assert {user.external_id: user.doubt for user in directory.users()} == doubts
        for name, how in (("eve", ""), ("EV", "startswith"), ("a", "contains"), ("far", ""), ("gil", ""), ("jo", "")):
            found = {user.external_id: user.doubt for user in directory.users(name, how)}
            assert found
            assert found.items() <= doubts.items(), (name, how)
        assert {id: directory.user(id).doubt for id in doubts} == doubts
        for name in ("eve", "EVE", "fay", "far", "gil", "jo"):
            with pytest.raises(Ambiguous):
                directory.user_named(name)
        assert directory.user_named("Gil").external_id == "gil"
    with side.directory(user_tree_dn=LIKE) as directory:
        assert (directory.user_named("fay").external_id, directory.user("fay").doubt) == ("fay", "")


def test_groups_of_one_name_are_doubtful_in_every_search(side):
    with side.directory(user_tree_dn=LIKE, group_tree_dn=LIKE) as directory:
        doubts = {"g1": "name", "g2": "name", "g3": ""}
        assert {group.external_id: group.doubt for group in directory.groups()} == doubts
        assert {group.external_id: group.doubt for group in directory.groups("G")} == {"g1": "name", "g2": "name"}
        assert {id: directory.group(id).doubt for id in doubts} == doubts
        eve = directory.user("eve1")
        assert {group.external_id: group.doubt for group in directory.groups_of(eve)} == {"g1": "name", "g3": ""}
        pairs = directory.members(directory.groups(), directory.users())
        assert sorted((user.external_id, group.external_id) for user, group in pairs) == [("eve1", "g1"), ("eve1", "g3"), ("fay", "g2")]


def test_an_id_that_several_have_is_not_there_if_none_is_enabled(side):
    disabled = {"user_enabled_mask": 0, "user_enabled_attribute": "title", "user_enabled_default": "False"}
    with side.directory(user_tree_dn=LIKE, query_scope="sub", **disabled) as directory:
        assert sorted(user.external_id for user in directory.users()) == ["eve1", "eve2", "gil", "gil2", "iva1", "iva2"]
        assert names(directory.users("fa", "startswith")) == []
        assert (directory.user("fay"), directory.user_named("fay"), directory.user_named("far")) == (None, None, None)


@pytest.mark.parametrize(("many", "portions"), [(1, 9), (2, 9), (1, 1), (50, 10)])
def test_doubts_are_the_same_in_portions_and_among_all(side, monkeypatch, many, portions):
    monkeypatch.setattr(ldap_directory, "MANY", many)
    monkeypatch.setattr(ldap_directory, "PORTIONS", portions)
    with side.directory(user_tree_dn=LIKE, group_tree_dn=LIKE, query_scope="sub") as directory:
        assert {user.external_id: user.doubt for user in directory.users("e", "startswith")} == {"eve1": "name", "eve2": "name"}
        assert {user.external_id: user.doubt for user in directory.users("fa", "startswith")} == {"fay": "id"}
        groups = directory.groups_of(directory.user("eve1"))
    assert {group.external_id: group.doubt for group in groups} == {"g1": "name", "g3": ""}
    assert [group.members for group in groups] == [(), ()]


def test_a_doubt_is_found_among_many(side):
    """More than are asked for one by one."""
    with side.directory(user_tree_dn=SUFFIX, query_scope="sub", user_filter="(|(uid=user*)(uid=eve))") as directory:
        found = {user.external_id: user.doubt for user in directory.users("e", "contains")}
    assert {id for id, doubt in found.items() if doubt} == {"eve1", "eve2"}
    assert len(found) == 152


def test_groups_and_members(side):
    with side.directory() as directory:
        groups = {group.external_id: group for group in directory.groups()}
        assert sorted(groups) == ["enabled", "odd", "staff"]
        assert (groups["staff"].name, groups["staff"].description, groups["odd"].description) == ("Staff", "All of us", "")
        users = directory.users()
        assert sorted((user.name, group.external_id) for user, group in directory.members(groups.values(), users)) == [
            ("ann", "enabled"), ("ann", "staff"), ("bob", "staff"), ("o'hara*)(uid=*", "odd"),
        ]  # fmt: skip
        assert sorted(group.external_id for group in directory.groups_of(directory.user_named("bob"))) == ["staff"]
        assert directory.group("staff") == groups["staff"]
        assert names(directory.groups("ODD (*", "startswith")) == ["Odd (*)"]


def test_members_by_id(side):
    posix = {
        "group_objectclass": "posixGroup",
        "group_name_attribute": "cn",
        "group_member_attribute": "memberUid",
        "group_members_are_ids": True,
    }
    with side.directory(**posix) as directory:
        users = directory.users()
        assert [user.name for user, _ in directory.members(directory.groups(), users)] == ["ann", "bob"]
        assert names(directory.groups_of(directory.user_named("ann"))) == ["posix"]


def test_groups_of_groups_want_an_active_directory(side):
    """To others the rule by which they are followed is unknown, and would make nobody a member."""
    with side.directory() as flat:
        ann = flat.user_named("ann")
    with side.directory(group_ad_nesting=True) as directory:
        for ask in (directory.groups, lambda: directory.groups_of(ann), lambda: directory.members([], [])):
            with pytest.raises(DirectoryAway, match="no Active Directory"):
                ask()
    with side.directory(group_ad_nesting=True, group_members_are_ids=True) as directory:
        assert directory.members([], []) == []


def test_ways_to_be_enabled(side):
    group = f"cn=enabled,ou=Groups,{SUFFIX}"
    cases = [
        ({"user_enabled_mask": 0, "user_enabled_attribute": "title", "user_enabled_default": "True"}, {"ann": True, "bob": False}),
        ({"user_enabled_mask": 0, "user_enabled_attribute": "title", "user_enabled_default": "False"}, {"ann": False, "bob": False}),
        ({"user_enabled_mask": 0, "user_enabled_attribute": "title", "user_enabled_default": "no", "user_enabled_invert": True}, {"ann": True, "bob": True}),
        ({"user_enabled_attribute": "title"}, {"ann": True, "bob": False}),
        ({"user_enabled_emulation": True, "user_enabled_emulation_dn": group}, {"ann": True, "bob": False}),
        ({"user_enabled_emulation": True, "user_enabled_emulation_dn": f"cn=none,{SUFFIX}"}, {"ann": False, "bob": False}),
    ]  # fmt: skip
    for settings, wanted in cases:
        with side.directory(**settings) as directory:
            found = {user.name: user.enabled for user in directory.users()}
        assert {name: found[name] for name in wanted} == wanted, settings


def test_additional_attributes_shadow_nothing(side):
    with side.directory(
        user_additional_attribute_mapping=("title:job", "title:id", "broken", ":x"), user_default_project_id_attribute="title"
    ) as directory:
        bob = directory.user_named("bob")
    assert bob.extra == {"job": "boss"}
    assert bob.default_project_id == "boss"


def test_large_trees_come_page_by_page(side):
    with side.directory(user_tree_dn=f"ou=Many,{SUFFIX}", page_size=20) as directory:
        assert len(directory.users()) == 150


def test_a_missing_tree_is_not_an_empty_one(side):
    with side.directory(user_tree_dn=f"ou=Empty,{SUFFIX}") as directory:
        assert directory.users() == []
    for tree in (f"ou=Nowhere,{SUFFIX}", "dc=other"):
        with side.directory(user_tree_dn=tree) as directory, pytest.raises(DirectoryAway):
            directory.users()


def test_a_wrong_filter_and_a_wrong_reader_are_named(side):
    with side.directory(user_filter="(uid=") as directory, pytest.raises(DirectoryAway):
        directory.users()
    with pytest.raises(DirectoryAway) as told, side.directory(password="not this"):
        pass
    assert "not this" not in str(told.value)


# The real one alone.


def test_a_part_of_a_list_is_no_list(server):
    """Over its limit slapd gives some entries and an error; they must not be taken for all."""
    settings = server.settings(user=LIMITED, user_tree_dn=f"ou=Many,{SUFFIX}", page_size=20)
    with real.connect(settings) as connection, pytest.raises(DirectoryAway):
        Directory(connection, settings).users()


def test_an_anonymous_reader_sees_nothing_and_nobody_believes_it(server):
    settings = server.settings(user=None, password=None)
    with real.connect(settings) as connection, pytest.raises(DirectoryAway):
        Directory(connection, settings).users()


@pytest.mark.parametrize(("more", "works"), [
    ({"use_tls": True, "tls_cacertfile": "ca.pem"}, True),
    ({"use_tls": True, "tls_cacertfile": "other-ca.pem"}, False),
    ({"use_tls": True, "tls_cacertfile": "other-ca.pem", "tls_req_cert": "never"}, True),
    ({"use_tls": True, "tls_cacertfile": "missing.pem"}, False),
    ({"url": "ldaps", "tls_cacertfile": "ca.pem"}, True),
    ({"url": "ldaps", "tls_cacertfile": "other-ca.pem"}, False),
])  # fmt: skip
def test_tls(server, more, works):
    if "tls_cacertfile" in more:
        more = {**more, "tls_cacertfile": str(server.folder / more["tls_cacertfile"])}
    if more.get("url") == "ldaps":
        more["url"] = f"ldaps://127.0.0.1:{server.tls_port}"
    settings = server.settings(**more)
    if not works:
        with pytest.raises(DirectoryAway), real.connect(settings):
            pass
        return
    with real.connect(settings) as connection:
        directory = Directory(connection, settings)
        assert directory.accepts(directory.user_named("ann"), "pw-ann")


def test_a_silent_server_lets_nobody_wait_long(server, monkeypatch):
    monkeypatch.setattr(real, "SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = silent.getsockname()[1]
        for url in (f"ldap://127.0.0.1:{port}", f"ldaps://127.0.0.1:{port}"):
            started = time.monotonic()
            with pytest.raises(DirectoryAway), real.connect(server.settings(url=url)):
                pass
            assert time.monotonic() - started < 4.5  # less than one wait of the usual SECONDS


def test_the_first_server_that_answers_is_asked(server):
    settings = server.settings(url=f"ldap://127.0.0.1:1,ldap://127.0.0.1:{server.port}")
    with real.connect(settings) as connection:
        assert Directory(connection, settings).user_named("ann")


def test_the_whole_way_through_the_api(server, db):
    """A log-in, a list and a shown user of a domain whose directory is the real one, over TLS."""
    with cheap_hashes():
        cloud = Cloud(db)
        corp = cloud.make("domain", name="corp")["id"]
        reach = {"url": f"ldap://127.0.0.1:{server.port}", "use_tls": True, "tls_cacertfile": str(server.folder / "ca.pem")}
        config = {"identity": {"driver": "ldap"}, "ldap": {**READ, **reach}}
        cloud.admin("PUT", f"/v3/domains/{corp}/config", {"config": config}, ok=201)
        assert names_in(cloud.admin.get(f"/v3/users?domain_id={corp}")) == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]
        for name in ("ann", "Cäsar", "o'hara*)(uid=*"):
            cloud.token(name, f"pw-{name}", domain=corp)
        for name, password in (("ann", ""), ("ann", "wrong"), ("bob", "pw-bob"), ("*", "pw-ann"), ("nobody", "pw-ann")):
            cloud.nobody("POST", "/v3/auth/tokens", by_password(name, password, domain=corp), ok=401)
        found = cloud.admin.get(f"/v3/users?domain_id={corp}&name=ann")["users"][0]
        assert found["email"] == "ann@acme.test"
        groups = cloud.admin.get(f"/v3/users/{found['id']}/groups")["groups"]
        assert sorted(group["name"] for group in groups) == ["Enabled", "Staff"]


def names_in(body) -> list[str]:
    return sorted(user["name"] for user in body["users"])
