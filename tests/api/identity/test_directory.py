"""A domain whose people are a directory's, told as stories through the API; the directory is the twin that the contract suite proves."""

from __future__ import annotations

import argparse
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text

from common.clock import boottime
from identity import manage_directory
from identity.engine.ldap_memory import Memory
from identity.models import GroupMember
from identity.service import directory, shadow
from tests.support import slapd
from tests.support.api import counted
from tests.support.identity import by_password, by_token
from tests.support.slapd import ODD_DN, PEOPLE, READ, READER, SUFFIX

ANN, BOB = f"cn=ann,ou=Users,{SUFFIX}", f"cn=bob,ou=Users,{SUFFIX}"
CAESAR = f"cn=Cäsar,ou=Users,{SUFFIX}"
STAFF, ODD_GROUP = (f"cn={cn},ou=Groups,{SUFFIX}" for cn in ("staff", "odd"))


class Corp:
    """The domain corp and its directory."""

    def __init__(self, cloud) -> None:
        self.cloud, self.admin = cloud, cloud.admin
        self.memory = Memory(PEOPLE)
        directory.use(self.memory.connect)
        self.id = cloud.make("domain", name="corp")["id"]
        self.configure()

    def configure(self, **more: object) -> None:
        self.admin("PUT", f"/v3/domains/{self.id}/config", self.config(**more))

    @staticmethod
    def config(**more: object) -> dict[str, object]:
        return {"config": {"identity": {"driver": "ldap"}, "ldap": {**READ, **more}}}

    def key(self, kind: str, external_id: str) -> str:
        return hashlib.sha256(f"{self.id}{kind}{external_id}".encode()).hexdigest()

    def login(self, name: str, password: str | None = None, scope=None, ok: int = 201):
        body = by_password(name, f"pw-{name}" if password is None else password, scope, domain=self.id)
        return self.cloud.nobody("POST", "/v3/auth/tokens", body, ok=ok)

    def login_by_id(self, external_id: str, password: str, ok: int = 201):
        user = {"id": self.key("user", external_id), "password": password}
        return self.cloud.nobody(
            "POST", "/v3/auth/tokens", {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}, ok=ok
        )

    def names(self, kind: str, query: str = "") -> list[str]:
        return sorted(row["name"] for row in self.admin.get(f"/v3/{kind}?domain_id={self.id}{query}")[kind])


@pytest.fixture
def corp(cloud, monkeypatch):
    monkeypatch.setattr(directory, "REFUSAL_SECONDS", 0.05)
    monkeypatch.setattr(directory, "SLOW_SECONDS", 3600.0)
    yield Corp(cloud)
    directory.use(None)
    directory.forget()


def test_a_grant_to_a_group_of_the_directory_counts_at_log_in(corp):
    assert corp.names("groups") == ["Enabled", "Odd (*)", "Staff"]
    project = corp.cloud.make("project", name="p")
    group = corp.key("group", "staff")
    corp.admin("PUT", f"/v3/projects/{project['id']}/groups/{group}/roles/{corp.cloud.role('member')}", ok=204)
    token = corp.login("ann", scope={"project": {"id": project["id"]}}).json["token"]
    assert (token["user"]["id"], token["user"]["name"], token["user"]["domain"]["name"]) == (corp.key("user", "ann"), "ann", "corp")
    assert "member" in [role["name"] for role in token["roles"]]
    assert token["methods"] == ["password"]
    # Who leaves the group loses the role at the next look, in the token that he has.
    raw = corp.login("ann", scope={"project": {"id": project["id"]}}).headers["X-Subject-Token"]
    corp.memory.entries[STAFF]["member"].remove(ANN)
    corp.login("ann", scope={"project": {"id": project["id"]}}, ok=401)
    corp.cloud.nobody.as_(raw)("GET", "/v3/auth/projects", ok=401)


def test_log_in_by_id_by_domain_name_and_in_another_case(corp):
    corp.login_by_id("ann", "pw-ann", ok=401)  # nobody has seen him yet
    corp.login("ANN", "pw-ann")
    corp.login_by_id("ann", "pw-ann")
    by_name = {"user": {"name": "ann", "domain": {"name": "corp"}, "password": "pw-ann"}}
    corp.cloud.nobody("POST", "/v3/auth/tokens", {"auth": {"identity": {"methods": ["password"], "password": by_name}}}, ok=201)
    corp.login_by_id("ann", "wrong", ok=401)


def test_its_domains_name_in_other_letters(corp):
    """Finds it while no other domain's is the same; a domain of ours that is so written keeps its users."""

    def come(domain, status, password="pw-ann"):
        user = {"name": "ann", "domain": {"name": domain}, "password": password}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        return corp.cloud.nobody("POST", "/v3/auth/tokens", body, ok=status)

    come("CORP", 201)
    ours = corp.cloud.make("domain", name="Corp")["id"]
    corp.cloud.make("user", name="ann", domain_id=ours, password="ours")
    assert come("Corp", 201, "ours").json["token"]["user"]["domain"]["id"] == ours
    assert come("corp", 201).json["token"]["user"]["domain"]["id"] == corp.id
    come("Corp", 401)
    come("CORP", 401)
    come("CORP", 401, "ours")


@pytest.mark.parametrize(("name", "password"), [
    ("ann", ""), ("ann", "wrong"), ("ann", "pw-ann "), ("nobody", "pw-ann"), ("", "pw-ann"), ("*", "pw-ann"), ("a*", "pw-ann"), ("ann)(uid=*", "pw-ann"),
    ("bob", "pw-bob"), ("ann", "pw-ann\ud800"),
])  # fmt: skip
def test_who_is_not_let_in(corp, name, password):
    status = corp.login(name, password, ok=None)
    assert status.status_code == (400 if "\ud800" in password else 401), status.text


def test_an_empty_password_never_reaches_the_directory(corp):
    corp.login("ann")
    corp.memory.binds.clear()
    corp.memory.entries[ANN]["userPassword"] = [""]
    corp.login("ann", "", ok=401)
    assert corp.memory.binds == []


def test_all_refusals_are_one(corp, monkeypatch):
    """On a clock that goes by what the directory is asked, and by sleep."""
    monkeypatch.setattr(directory, "REFUSAL_SECONDS", 10.0)
    slept = []
    monkeypatch.setattr(directory, "boottime", lambda: corp.memory.asked + sum(slept))
    monkeypatch.setattr(directory, "time", SimpleNamespace(sleep=slept.append))
    corp.login("ann")
    assert slept == []
    answers, times = [], []
    id = {"id": corp.key("user", "ann")}
    unknown = {"id": "f" * 64}
    for user in ({"name": "ann"}, {"name": "nobody"}, {"name": "bob"}, id, unknown):
        who = {**user, "password": "wrong"} if "id" in user else {**user, "domain": {"id": corp.id}, "password": "wrong"}
        started = directory.boottime()
        answers.append(
            corp.cloud.nobody(
                "POST", "/v3/auth/tokens", {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}, ok=401
            ).json
        )
        times.append(directory.boottime() - started)
    assert all(answer == answers[0] for answer in answers)
    assert len(slept) == len(times)
    assert len(set(slept)) > 1  # they cost differently, and it does not show
    assert set(times) == {10.0}
    assert corp.memory.binds.count(ANN) >= 2
    assert any("nobody-" in dn for dn in corp.memory.binds)


def test_lists_show_the_directory(corp):
    assert corp.names("users") == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]
    assert corp.names("users", "&name=ann") == ["ann"]
    assert corp.names("users", "&name__contains=a") == ["Cäsar", "ann", "o'hara*)(uid=*"]
    assert corp.names("users", "&name__istartswith=AN") == ["ann"]
    assert corp.names("users", "&enabled=false") == ["bob"]
    assert corp.names("groups", "&name=Staff") == ["Staff"]
    ann = corp.admin.get(f"/v3/users/{corp.key('user', 'ann')}")["user"]
    assert (ann["email"], ann["description"], ann["enabled"], ann["domain_id"]) == ("ann@acme.test", "First", True, corp.id)
    members = corp.admin.get(f"/v3/groups/{corp.key('group', 'staff')}/users")["users"]
    assert sorted(user["name"] for user in members) == ["ann", "bob"]
    groups = corp.admin.get(f"/v3/users/{corp.key('user', 'ann')}/groups")["groups"]
    assert sorted(group["name"] for group in groups) == ["Enabled", "Staff"]
    assert corp.admin.get(f"/v3/groups/{corp.key('group', 'staff')}")["group"]["description"] == "All of us"
    first = corp.admin.get(f"/v3/users?domain_id={corp.id}&limit=2")
    asked = corp.memory.asked
    rest = corp.admin.get(f"/v3/users?domain_id={corp.id}&limit=10&marker={first['users'][-1]['id']}")
    assert len(first["users"]) + len(rest["users"]) == 4
    assert corp.memory.asked == asked


def test_a_reader_of_the_domain_sees_it_and_others_do_not(corp):
    corp.names("users")
    corp.cloud.grant("reader", user=corp.key("user", "ann"), domain=corp.id)
    token = corp.login("ann", scope={"domain": {"id": corp.id}}).headers["X-Subject-Token"]
    client = corp.cloud.nobody.as_(token)
    assert len(client.get("/v3/users")["users"]) == 4
    foreign = corp.cloud.make("domain", name="foreign")
    corp.cloud.make("user", name="eve", password="pw", domain_id=foreign["id"])
    eve = corp.admin.get("/v3/users?name=eve")["users"][0]["id"]
    corp.cloud.grant("reader", user=eve, domain=foreign["id"])
    client = corp.cloud.login("eve", "pw", {"domain": {"id": foreign["id"]}}, domain=foreign["id"])
    asked = corp.memory.asked
    assert client.get(f"/v3/users?domain_id={corp.id}")["users"] == []
    client.get(f"/v3/users/{corp.key('user', 'ann')}", ok=403)
    client.get(f"/v3/groups/{corp.key('group', 'staff')}", ok=403)
    assert corp.memory.asked == asked


def test_the_directory_is_read_only(corp):
    corp.names("users")
    corp.names("groups")
    admin, ann, staff = corp.admin, f"/v3/users/{corp.key('user', 'ann')}", f"/v3/groups/{corp.key('group', 'staff')}"
    told = [admin("POST", "/v3/users", {"user": {"name": "x", "domain_id": corp.id}}, ok=403)]
    told.append(admin("POST", "/v3/groups", {"group": {"name": "x", "domain_id": corp.id}}, ok=403))
    for change in ({"name": "x"}, {"enabled": False}, {"password": "x"}, {"email": "x"}, {"description": "x", "options": {}}):
        told.append(admin("PATCH", ann, {"user": change}, ok=403))
    told += [admin("PATCH", staff, {"group": {"name": "x"}}, ok=403), admin("DELETE", ann, ok=403), admin("DELETE", staff, ok=403)]
    ours = corp.cloud.make("group", name="ours")
    mine = corp.cloud.make("user", name="mine")
    for group, user in ((staff, ann), (f"/v3/groups/{ours['id']}", ann), (staff, f"/v3/users/{mine['id']}")):
        told.append(admin("PUT", f"{group}{user.removeprefix('/v3')}", ok=403))
    told.append(admin("DELETE", f"{staff}{ann.removeprefix('/v3')}", ok=403))
    assert all("read-only" in answer.text for answer in told)
    project = corp.cloud.make("project", name="p")
    changed = admin.patch(ann, {"user": {"default_project_id": project["id"], "options": {"lock_password": True}}}, ok=200)["user"]
    assert (changed["default_project_id"], changed["options"]) == (project["id"], {"lock_password": True})
    corp.cloud.grant("member", user=corp.key("user", "ann"), project=project["id"])
    assert corp.login("ann").json["token"]["project"]["id"] == project["id"]


def test_a_password_is_changed_in_the_directory(corp):
    corp.login("ann")
    path = f"/v3/users/{corp.key('user', 'ann')}/password"
    corp.cloud.nobody("POST", path, {"user": {"original_password": "wrong", "password": "new"}}, ok=401)
    assert "changed there" in corp.cloud.nobody("POST", path, {"user": {"original_password": "pw-ann", "password": "new"}}, ok=403).text


def test_a_changed_entry_shows_at_the_next_look(corp):
    corp.names("users")
    corp.memory.entries[ANN]["mail"] = ["new@acme.test"]
    corp.memory.entries[ANN]["uid"], corp.memory.entries[BOB]["uid"] = ["bob"], ["ann"]
    assert corp.names("users") == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]
    ann = corp.admin.get(f"/v3/users/{corp.key('user', 'ann')}")["user"]
    assert (ann["name"], ann["email"]) == ("bob", "new@acme.test")


@pytest.mark.parametrize("look", ["get", "list", "named", "login", "sync"])
def test_who_is_gone_is_disabled_and_his_tokens_end(corp, look):
    token = corp.cloud.nobody.as_(corp.login("ann").headers["X-Subject-Token"])
    token.get("/v3/auth/projects")
    project = corp.cloud.make("project", name="p")
    id = corp.key("user", "ann")
    corp.cloud.grant("member", user=id, project=project["id"])
    entry = corp.memory.entries.pop(ANN)
    if look == "get":
        assert corp.admin.get(f"/v3/users/{id}")["user"]["enabled"] is False
    elif look == "list":
        assert corp.names("users", "&enabled=false") == ["ann", "bob"]
    elif look == "named":
        corp.names("users", "&name=ann")
    elif look == "login":
        corp.login("ann", ok=401)
    else:
        assert manage_directory.sync(corp.cloud.db) == 0
    token("GET", "/v3/auth/projects", ok=401)
    corp.memory.entries[ANN] = entry
    corp.cloud.nobody("POST", "/v3/auth/tokens", by_token(token.token), ok=404)
    assert corp.login("ann", scope={"project": {"id": project["id"]}}).json["token"]["user"]["id"] == id
    token("GET", "/v3/auth/projects", ok=401)


@pytest.mark.parametrize(("uids", "asked"), [(("ann", "ann"), "ann"), (("Ann", "aNN"), "ann")])
def test_who_answers_to_a_name_beside_another_is_not_let_in_and_not_gone(corp, uids, asked):
    """The row bears the name that is asked for; of two entries nobody can say which one it is."""
    token = corp.cloud.nobody.as_(corp.login("ann").headers["X-Subject-Token"])
    twin = f"cn=ann-too,ou=Users,{SUFFIX}"
    corp.memory.entries[twin] = {**corp.memory.entries[ANN], "cn": ["ann-too"], "uid": [uids[1]]}
    corp.memory.entries[ANN]["uid"] = [uids[0]]
    binds = len(corp.memory.binds)
    corp.login(asked, "pw-ann", ok=401)
    assert len(corp.memory.binds) == binds + 1
    assert "nobody" in corp.memory.binds[-1]
    token.get("/v3/auth/projects")
    corp.memory.entries.pop(twin)
    corp.login("ann")


def twin_of(corp, dn: str, **more: list[str]) -> str:
    """Another entry like this one, whose DN comes first."""
    made = f"cn=0-ann-too,ou=Users,{SUFFIX}"
    corp.memory.entries[made] = {**corp.memory.entries[dn], "cn": ["ann-too"], **more}
    return made


LOOKS = {
    "list": lambda corp: corp.names("users"),
    "named": lambda corp: corp.names("users", "&name=ann"),
    "like": lambda corp: corp.names("users", "&name__startswith=an"),
    "groups": lambda corp: (corp.names("groups"), corp.names("groups", "&name=Staff")),
    "members": lambda corp: corp.admin("GET", f"/v3/groups/{corp.key('group', 'staff')}/users"),
    "shown": lambda corp: [corp.admin("GET", f"/v3/users/{corp.key('user', id)}") for id in ("ann", "ann-too", "bob")],
    "log-in": lambda corp: [corp.login("ann", password, ok=401) for password in ("pw-ann", "pw-other")],
    "old name": lambda corp: corp.login("bob", "pw-bob", ok=401),
    "sync": lambda corp: manage_directory.sync(corp.cloud.db),
}


@pytest.mark.parametrize("look", LOOKS)
def test_twins_of_a_name_get_no_row(corp, look, caplog):
    twin = twin_of(corp, ANN, userPassword=["pw-other"])
    group = f"cn=0-staff-too,ou=Groups,{SUFFIX}"
    corp.memory.entries[group] = {**corp.memory.entries[STAFF], "cn": ["staff-too"]}
    LOOKS[look](corp)
    assert corp.names("users") == ["Cäsar", "bob", "o'hara*)(uid=*"]
    assert corp.names("users", "&name=ann") == []
    assert corp.names("groups") == ["Enabled", "Odd (*)"]
    for id in ("ann", "ann-too"):
        corp.admin.get(f"/v3/users/{corp.key('user', id)}", ok=404)
        corp.admin.get(f"/v3/groups/{corp.key('group', id.replace('ann', 'staff'))}", ok=404)
    if look == "list":
        told = [record.getMessage() for record in caplog.records if ANN in record.getMessage()]
        assert told
        assert all(twin in line for line in told)
    del corp.memory.entries[twin], corp.memory.entries[group]
    assert corp.names("users", "&name=ann") == ["ann"]
    corp.login("ann")


@pytest.mark.parametrize("look", LOOKS)
def test_who_is_known_keeps_his_name_beside_a_twin(corp, look):
    """Whether a stranger comes, or one who is known takes the name: nobody logs in by it, and what was given by it is still his to whom it was given.

    By his id each logs in as ever: else whoever may write his own name could lock out anybody.
    """
    project = corp.cloud.make("project", name="p")
    scope = {"project": {"id": project["id"]}}
    assert manage_directory.sync(corp.cloud.db) == 0
    staff = corp.key("group", "staff")
    corp.admin("PUT", f"/v3/projects/{project['id']}/groups/{staff}/roles/{corp.cloud.role('member')}", ok=204)
    tokens = [corp.cloud.nobody.as_(corp.login("ann", scope=scope).headers["X-Subject-Token"])]
    corp.memory.entries[BOB]["accountControl"] = ["512"]
    tokens.append(corp.cloud.nobody.as_(corp.login("bob", scope=scope).headers["X-Subject-Token"]))
    twin_of(corp, ANN, userPassword=["pw-other"])
    corp.memory.entries[BOB]["uid"] = ["ann"]
    corp.memory.entries[f"cn=0-staff-too,ou=Groups,{SUFFIX}"] = {**corp.memory.entries[STAFF], "cn": ["staff-too"]}
    for _ in range(2):
        LOOKS[look](corp)
    for token in tokens:
        token.get("/v3/auth/projects")
    assert corp.names("users", "&enabled=true") == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]
    assert [row["id"] for row in corp.admin.get(f"/v3/users?domain_id={corp.id}&name=ann")["users"]] == [corp.key("user", "ann")]
    assert corp.names("groups") == ["Enabled", "Odd (*)", "Staff"]
    members = corp.admin.get(f"/v3/groups/{staff}/users")["users"]
    assert sorted(user["name"] for user in members) == ["ann", "bob"]
    for password in ("pw-ann", "pw-bob", "pw-other"):
        corp.login("ann", password, ok=401)
        for id in ("ann", "bob", "ann-too"):
            corp.login_by_id(id, password, ok=201 if password == f"pw-{id}" else 401)
    assert corp.names("users", "&enabled=true") == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]


@pytest.mark.parametrize("look", ["list", "named", "shown", "sync"])
def test_what_is_no_doubt_of_a_twin_follows_the_directory(corp, look):
    token = corp.cloud.nobody.as_(corp.login("ann").headers["X-Subject-Token"])
    twin_of(corp, ANN, accountControl=["512"])
    corp.memory.entries[ANN]["accountControl"] = ["514"]
    LOOKS[look](corp)
    token("GET", "/v3/auth/projects", ok=401)


@pytest.mark.parametrize("look", LOOKS)
def test_an_id_that_two_have_is_neithers(corp, look):
    """Two units with an entry of one id: whoever of them logs in, his row would be the other's."""
    project = corp.cloud.make("project", name="p")
    assert manage_directory.sync(corp.cloud.db) == 0
    corp.configure(query_scope="sub")
    staff = corp.key("group", "staff")
    corp.admin("PUT", f"/v3/projects/{project['id']}/groups/{staff}/roles/{corp.cloud.role('member')}", ok=204)
    token = corp.cloud.nobody.as_(corp.login("ann", scope={"project": {"id": project["id"]}}).headers["X-Subject-Token"])
    twin = f"cn=ann,ou=Far,ou=Users,{SUFFIX}"
    corp.memory.entries[twin] = {**corp.memory.entries[ANN], "uid": ["annie"], "mail": ["annie@acme.test"], "userPassword": ["pw-annie"]}
    LOOKS[look](corp)
    corp.names("users")
    assert manage_directory.sync(corp.cloud.db) == 0
    token.get("/v3/auth/projects")
    ann = corp.admin.get(f"/v3/users/{corp.key('user', 'ann')}")["user"]
    assert (ann["name"], ann["email"], ann["enabled"]) == ("ann", "ann@acme.test", True)
    assert corp.names("users", "&name=annie") == []
    for name in ("ann", "annie"):
        corp.login(name, ok=401)
    del corp.memory.entries[twin]
    corp.login("ann")


@pytest.mark.parametrize("look", ["list", "named", "shown", "by id", "log-in", "sync"])
def test_an_id_of_which_no_entry_is_enabled_is_disabled(corp, look):
    """Nothing is believed of twins that would give; that all of them are disabled ends what was given, and coming back one by one gives nothing."""
    assert manage_directory.sync(corp.cloud.db) == 0
    corp.configure(query_scope="sub")
    token = corp.cloud.nobody.as_(corp.login("ann").headers["X-Subject-Token"])
    twin = f"cn=ann,ou=Far,ou=Users,{SUFFIX}"
    corp.memory.entries[twin] = {**corp.memory.entries[ANN], "uid": ["annie"]}
    looks = {**LOOKS, "by id": lambda _: corp.login_by_id("ann", "pw-ann", ok=401)}
    for dn in (ANN, twin):
        token.get("/v3/auth/projects")
        corp.memory.entries[dn]["accountControl"] = ["514"]
        looks[look](corp)
    token("GET", "/v3/auth/projects", ok=401)
    assert "ann" in corp.names("users", "&enabled=false")
    corp.memory.entries[twin]["accountControl"] = ["512"]
    looks[look](corp)
    assert "ann" in corp.names("users", "&enabled=false")
    del corp.memory.entries[twin]
    corp.memory.entries[ANN]["accountControl"] = ["512"]
    corp.login("ann")


@pytest.mark.parametrize("look", ["named", "old name"])
def test_who_bears_another_name_now_is_not_gone(corp, look):
    corp.memory.entries[BOB]["accountControl"] = ["512"]
    token = corp.cloud.nobody.as_(corp.login("bob").headers["X-Subject-Token"])
    corp.memory.entries[BOB]["uid"] = ["robert"]
    if look == "named":
        assert corp.names("users", "&name=bob") == []
    else:
        corp.login("bob", "pw-bob", ok=401)
    token.get("/v3/auth/projects")
    assert corp.names("users", "&name=robert") == ["robert"]


@pytest.mark.parametrize("chosen", ["id", "id at once", "name"])
@pytest.mark.parametrize("kind", ["user", "group"])
def test_who_takes_the_name_of_a_row_that_was_let_go_stops_nobody(corp, kind, chosen):
    """Names are a person's own to write: also what the row of one who left is called since another has his name."""
    assert manage_directory.sync(corp.cloud.db) == 0
    left, heir, other, name = (ANN, BOB, CAESAR, "uid") if kind == "user" else (STAFF, f"cn=enabled,ou=Groups,{SUFFIX}", ODD_GROUP, "ou")
    row = corp.key(kind, "ann" if kind == "user" else "staff")
    corp.memory.entries[heir][name] = corp.memory.entries.pop(left)[name]
    if chosen != "id at once":
        assert manage_directory.sync(corp.cloud.db) == 0
    taken = row if chosen != "name" else corp.admin.get(f"/v3/{kind}s/{row}")[kind]["name"]
    corp.memory.entries[other][name] = [taken]
    token = corp.cloud.nobody.as_(corp.login("o'hara*)(uid=*").headers["X-Subject-Token"])
    del corp.memory.entries[ODD_DN]
    assert taken in corp.names(f"{kind}s")
    assert manage_directory.sync(corp.cloud.db) == 0
    assert corp.admin.get(f"/v3/{kind}s?domain_id={corp.id}&name={taken}")[f"{kind}s"][0]["id"] != row
    token("GET", "/v3/auth/projects", ok=401)


def test_a_fault_of_one_domain_does_not_stop_the_next(corp, monkeypatch, capsys):
    corp.cloud.admin("PUT", f"/v3/domains/{corp.cloud.make('domain', name='firm')['id']}/config", corp.config())
    put = shadow.put_groups

    def broken(tx, domain_id, groups):
        return tx.execute(text("SELECT 1 / 0")) if domain_id == corp.id else put(tx, domain_id, groups)

    monkeypatch.setattr(shadow, "put_groups", broken)
    assert manage_directory.sync(corp.cloud.db) == 1
    told = capsys.readouterr()
    assert "firm: 4 users" in told.out
    assert told.err == "corp: division by zero\n"


def test_who_is_disabled_there_is_disabled_here(corp):
    token = corp.cloud.nobody.as_(corp.login("ann").headers["X-Subject-Token"])
    corp.memory.entries[ANN]["accountControl"] = ["514"]
    corp.login("ann", ok=401)
    token("GET", "/v3/auth/projects", ok=401)


def test_a_group_that_is_gone_gives_nothing_and_keeps_what_it_was_given(corp):
    project = corp.cloud.make("project", name="p")
    corp.names("groups")
    group = corp.key("group", "staff")
    corp.admin("PUT", f"/v3/projects/{project['id']}/groups/{group}/roles/{corp.cloud.role('member')}", ok=204)
    token = corp.cloud.nobody.as_(corp.login("ann", scope={"project": {"id": project["id"]}}).headers["X-Subject-Token"])
    entry = corp.memory.entries.pop(STAFF)
    corp.names("groups")
    token("GET", "/v3/auth/projects", ok=401)
    corp.memory.entries[STAFF] = entry
    corp.login("ann", scope={"project": {"id": project["id"]}})


def test_a_directory_that_is_away_is_503_for_all_alike(corp):
    corp.login("ann")
    corp.memory.away = True
    told = {corp.login(name, password, ok=503).text for name in ("ann", "nobody", "bob") for password in ("pw-ann", "wrong", "")}
    assert len(told) == 1
    assert "does not answer" in told.pop()
    for path in (f"users?domain_id={corp.id}", f"groups?domain_id={corp.id}", f"users/{corp.key('user', 'ann')}"):
        corp.admin.get(f"/v3/{path}", ok=503)
    assert manage_directory.sync(corp.cloud.db) == 1
    corp.admin.get("/v3/users")  # what is about no directory is answered
    corp.admin.get("/v3/users?domain_id=default")
    corp.memory.away = False
    corp.login("ann")


def test_a_token_outlives_a_directory_that_is_away(corp):
    token = corp.cloud.nobody.as_(corp.login("ann").headers["X-Subject-Token"])
    corp.memory.away = True
    token.get("/v3/auth/projects")


def test_a_directory_without_anybody_is_not_believed(corp, capsys):
    corp.names("users")
    corp.configure(user_tree_dn=f"ou=Empty,{SUFFIX}")
    assert corp.names("users", "&enabled=true") == ["Cäsar", "ann", "o'hara*)(uid=*"]
    assert manage_directory.sync(corp.cloud.db) == 1
    assert "shows no user" in capsys.readouterr().err
    corp.configure(user_tree_dn=f"ou=Nowhere,{SUFFIX}")
    corp.admin.get(f"/v3/users?domain_id={corp.id}", ok=503)


def test_sync_sees_everybody(corp, capsys):
    corp.cloud.make("domain", name="without")
    assert manage_directory.sync(corp.cloud.db, "corp") == 0
    assert capsys.readouterr().out == "corp: 4 users, 3 groups, 4 memberships; 0 disabled\n"
    assert manage_directory.sync(corp.cloud.db, corp.id) == 0
    assert manage_directory.sync(corp.cloud.db, "without") == 1
    rows = corp.cloud.db.run(lambda tx: tx.execute(text("SELECT count(*) FROM identity.group_member")).scalar())
    assert rows == 4


def test_users_of_ours_stay_ours(corp):
    """Those who were in the domain before it had a directory log in as ever, and keep their names."""
    corp.admin.delete(f"/v3/domains/{corp.id}/config")
    ours = corp.cloud.make("user", name="ann", password="ours", domain_id=corp.id)
    corp.configure()
    assert corp.login("ann", "ours").json["token"]["user"]["id"] == ours["id"]
    corp.login("ann", "pw-ann", ok=401)
    assert corp.names("users") == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]
    assert corp.admin.get(f"/v3/users?domain_id={corp.id}&name=ann")["users"][0]["id"] == ours["id"]
    corp.admin.patch(f"/v3/users/{ours['id']}", {"user": {"email": "x"}}, ok=200)
    corp.admin.delete(f"/v3/users/{ours['id']}")
    corp.login("ann")


def test_a_domain_that_gave_its_directory_up(corp):
    corp.login("ann")
    corp.admin.delete(f"/v3/domains/{corp.id}/config")
    corp.login("ann", ok=401)
    id = corp.key("user", "ann")
    assert corp.admin.get(f"/v3/users/{id}")["user"]["enabled"] is True
    corp.admin.delete(f"/v3/users/{id}")


def test_a_domain_goes_with_its_directory(corp):
    token = corp.cloud.nobody.as_(corp.login("ann").headers["X-Subject-Token"])
    assert manage_directory.sync(corp.cloud.db) == 0
    corp.admin.patch(f"/v3/domains/{corp.id}", {"domain": {"enabled": False}}, ok=200)
    token("GET", "/v3/auth/projects", ok=401)
    corp.login("ann", ok=401)
    corp.admin.delete(f"/v3/domains/{corp.id}")
    directory.forget()
    corp.login("ann", ok=401)
    assert manage_directory.sync(corp.cloud.db) == 0


def test_a_change_of_the_password_of_the_reader_is_heard(corp):
    corp.login("ann")
    corp.memory.entries[READER]["userPassword"] = ["another"]
    corp.login("ann", ok=503)
    corp.admin.patch(f"/v3/domains/{corp.id}/config/ldap/password", {"config": {"password": "another"}}, ok=200)
    corp.login("ann")
    corp.admin.patch(f"/v3/domains/{corp.id}/config/ldap/user", {"config": {"user": "cn=%(password)s"}}, ok=200)
    corp.memory.entries["cn=another"] = {"userPassword": ["another"]}
    corp.login("ann")


def test_an_ordinary_log_in_writes_nothing_and_no_query_count_grows(corp):
    corp.login("ann")
    counts = []
    for _ in range(2):
        with counted(corp.cloud.db) as sent:
            corp.login("ann")
        counts.append(len(sent))
        assert not [statement for statement in sent if statement.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))]
    with counted(corp.cloud.db) as few:
        corp.names("users")
    for n in range(200):
        dn, entry = slapd.person(f"cn=more{n},ou=Users,{SUFFIX}", f"more{n}", f"more{n}")
        corp.memory.entries[dn] = entry
    with counted(corp.cloud.db) as many:
        assert len(corp.names("users")) == 204
    assert len(few) == len(many)


def test_a_log_in_reads_no_members_and_no_group_but_his_own(corp, monkeypatch):
    """In a large directory a group has thousands of members, there are thousands of groups, and one user is in many of them."""
    template = corp.memory.entries[STAFF]
    for n in range(200):
        more = {"cn": [f"team{n}"], "ou": [f"Team{n}"], "member": [ANN] if n < 120 else [BOB]}
        corp.memory.entries[f"cn=team{n},ou=Groups,{SUFFIX}"] = {**template, **more}
    corp.memory.entries[f"cn=twin,ou=Groups,{SUFFIX}"] = {**template, "cn": ["twin"], "ou": ["Team7"], "member": [BOB]}
    asked, search = [], Memory.search

    def watched(self, base, scope, filter, attributes):
        found = search(self, base, scope, filter, attributes)
        if base.startswith("ou=Groups"):
            asked.append((len(found), tuple(attributes)))
        return found

    monkeypatch.setattr(Memory, "search", watched)
    corp.login("ann")
    assert all("member" not in attributes for _, attributes in asked)
    assert sum(many for many, _ in asked) == 122 + 122 + 1  # his own, these compared, and the twin
    assert len(asked) <= 1 + 3
    groups = corp.admin.get(f"/v3/users/{corp.key('user', 'ann')}/groups")["groups"]
    assert {group["name"] for group in groups} == {"Staff", "Enabled", *(f"Team{n}" for n in range(120) if n != 7)}


def test_the_command_is_there(corp, capsys):
    asked = argparse.ArgumentParser()
    manage_directory.add_command(asked.add_subparsers(), lambda: corp.cloud.db)
    found = asked.parse_args(["sync-directory", "--domain", "corp"])
    assert found.func(found) == 0
    assert "corp: 4 users" in capsys.readouterr().out


def test_looks_at_once_agree(corp):
    """Many at a time, each of which would write: nobody is lost, nothing is doubled, and no answer is a fault."""
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda n: corp.login(("ann", "Cäsar")[n % 2], ok=None).status_code, range(12)))
        done += list(threads.map(lambda _: corp.admin("GET", f"/v3/users?domain_id={corp.id}").status_code, range(8)))
    assert set(done) <= {200, 201}
    assert corp.names("users") == ["Cäsar", "ann", "bob", "o'hara*)(uid=*"]


def test_a_flood_waits_for_the_directory_and_for_nobody_else(corp, monkeypatch):
    """While every thread of the directory is taken, and as many wait as may."""
    held, go, many = threading.Semaphore(0), threading.Event(), directory.WORKERS + directory.WAITING
    monkeypatch.setattr(directory, "time", SimpleNamespace(sleep=lambda _: held.release() or go.wait(60)))
    corp.cloud.make("user", name="local", password="pw")
    with ThreadPoolExecutor(2 * many) as threads:
        try:
            flood = [threads.submit(lambda: corp.login("ann", "wrong", ok=None)) for _ in range(2 * many)]
            told = as_completed(flood, timeout=60)
            refused = [next(told).result() for _ in range(many)]
            for _ in range(directory.WORKERS):
                assert held.acquire(timeout=60)
            corp.cloud.token("local", "pw")
        finally:
            go.set()
        found = [each.result() for each in flood]
    assert {answer.status_code for answer in found} == {401, 429}
    assert {answer.status_code for answer in refused} == {429}
    assert all("Retry-After" in answer.headers for answer in found if answer.status_code == 429)


def test_a_refusals_time_counts_from_its_turn(corp, monkeypatch):
    """However long it waited for a thread: or who fills the threads chooses where the multiple falls, and what a user costs shows."""
    monkeypatch.setattr(directory, "REFUSAL_SECONDS", 1000.0)
    held, go, slept, now = threading.Semaphore(0), threading.Event(), [], [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        held.release()
        go.wait(60)

    monkeypatch.setattr(directory, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(directory, "boottime", lambda: now[0])
    with ThreadPoolExecutor(directory.WORKERS + 1) as threads:
        try:
            asked = [threads.submit(lambda: corp.login("ann", "wrong", ok=401)) for _ in range(directory.WORKERS)]
            assert all(held.acquire(timeout=60) for _ in asked)
            late = threads.submit(lambda: corp.login("ann", "wrong", ok=401))
            pool, end = directory._of(corp.cloud.db).gate(corp.id).pool, time.monotonic() + 60
            while not len(pool) and time.monotonic() < end:
                time.sleep(0.01)
            now[0] = 999.0
        finally:
            go.set()
        late.result(60)
    assert slept == [1000.0] * (directory.WORKERS + 1)


def test_a_look_says_nothing_of_memberships_that_it_was_not_about(corp):
    corp.login("ann")
    assert corp.names("groups") == ["Enabled", "Odd (*)", "Staff"]
    corp.admin.get(f"/v3/groups/{corp.key('group', 'staff')}/users")
    ann, bob = corp.key("user", "ann"), corp.key("user", "bob")
    staff, enabled = corp.key("group", "staff"), corp.key("group", "enabled")
    pairs = select(GroupMember.user_id, GroupMember.group_id)
    there = {(ann, staff), (ann, enabled), (bob, staff)}
    for users, groups, left in (([bob], [enabled], there), ([ann], [staff], there - {(ann, staff)}), (None, [staff], {(ann, enabled)})):
        corp.cloud.db.run(lambda tx, users=users, groups=groups: shadow.put_members(tx, corp.id, (), users=users, groups=groups))
        assert {tuple(row) for row in corp.cloud.db.run(lambda tx: tx.execute(pairs).all())} == left


def test_what_cannot_be_decrypted_is_nobodys_to_know(corp):
    corp.cloud.db.run(lambda tx: tx.execute(text("UPDATE identity.domain_secret SET value = 'nothing'")))
    told = corp.login("ann", ok=503).text
    assert "does not answer" in told
    assert "key" not in told


def test_a_directory_that_keeps_us_waiting_is_left_alone_for_a_while(corp, monkeypatch):
    corp.login("ann")
    monkeypatch.setattr(directory, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(directory, "AWAY_SECONDS", 3600.0)
    corp.memory.away = True
    corp.login("ann", ok=503)
    corp.memory.away, asked = False, corp.memory.asked
    corp.login("ann", ok=503)
    assert corp.memory.asked == asked
    monkeypatch.setattr(directory, "boottime", lambda: boottime() + 3600)
    corp.login("ann")
