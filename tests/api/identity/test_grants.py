"""Roles on projects, domains and the system, those that come down the tree, and what they imply; told through the API on a real PostgreSQL."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from identity.models import (
    ApplicationCredential,
    ApplicationCredentialRole,
    IdentityProvider,
    Trust,
    TrustRole,
    VouchedMember,
)
from tests.support.api import counted
from tests.support.identity import by_password


def names(body, key):
    return sorted(row["name"] for row in body[key])


def below(where, who, role=None):
    """The path of a role that is inherited from `where` ("projects/id") by `who` ("users/id")."""
    return f"/v3/OS-INHERIT/{where}/{who}/roles{'/' + role if role else ''}/inherited_to_projects"


@pytest.mark.parametrize("kind", ["projects", "domains"])
@pytest.mark.parametrize("bearer", ["user", "group"])
def test_an_inherited_role_is_given_looked_at_and_taken(cloud, kind, bearer):
    where = "domains/default" if kind == "domains" else f"projects/{cloud.make('project', name='p')['id']}"
    who, member = f"{bearer}s/{cloud.make(bearer, name='n')['id']}", cloud.role("member")
    one, direct = below(where, who, member), f"/v3/{where}/{who}/roles/{member}"
    cloud.admin("HEAD", one, ok=404)
    cloud.admin.delete(one, ok=404)
    for _ in range(2):
        cloud.admin("PUT", one, ok=204)
    cloud.admin("HEAD", one, ok=204)
    cloud.admin("GET", one, ok=204)
    cloud.admin("HEAD", direct, ok=404)
    assert names(cloud.admin.get(below(where, who)), "roles") == ["member"]
    cloud.admin("HEAD", below(where, who), ok=200)
    assert cloud.admin.get(f"/v3/{where}/{who}/roles")["roles"] == []
    cloud.admin.delete(direct, ok=404)
    cloud.admin.delete(one)
    cloud.admin("HEAD", one, ok=404)
    for wrong in (below(where, who, "none"), below(where, f"{bearer}s/none", member), below(f"{kind}/none", who, member)):
        cloud.admin("PUT", wrong, ok=404)


def test_the_system_inherits_nothing(cloud):
    user = cloud.make("user", name="n")["id"]
    cloud.admin("PUT", f"/v3/OS-INHERIT/system/users/{user}/roles/{cloud.role('member')}/inherited_to_projects", ok=404)


def test_an_inherited_role_counts_below_and_not_there(cloud):
    top = cloud.make("project", name="top")["id"]
    middle = cloud.make("project", name="middle", parent_id=top)["id"]
    cloud.make("project", name="leaf", parent_id=middle)
    cloud.make("project", name="beside")
    user = cloud.make("user", name="ann", password="pw")["id"]
    group = cloud.make("group", name="g")["id"]
    cloud.admin("PUT", f"/v3/groups/{group}/users/{user}", ok=204)
    ann = cloud.login("ann", "pw")

    def seen():
        assert names(ann.get(f"/v3/users/{user}/projects"), "projects") == names(ann.get("/v3/auth/projects"), "projects")
        return names(ann.get("/v3/auth/projects"), "projects")

    assert seen() == []
    for who in (f"users/{user}", f"groups/{group}"):
        one = below(f"projects/{top}", who, cloud.role("member"))
        cloud.admin("PUT", one, ok=204)
        assert seen() == ["leaf", "middle"]
        assert ann.get("/v3/auth/domains")["domains"] == []
        cloud.admin.delete(one)
        assert seen() == []
    cloud.admin("PUT", below("domains/default", f"groups/{group}", cloud.role("member")), ok=204)
    assert seen() == ["admin", "beside", "leaf", "middle", "top"]
    assert ann.get("/v3/auth/domains")["domains"] == []
    cloud.admin.patch(f"/v3/projects/{middle}/cascade", {"project": {"enabled": False}}, ok=200)
    assert names(ann.get("/v3/auth/projects"), "projects") == ["admin", "beside", "top"]
    assert names(ann.get(f"/v3/users/{user}/projects?enabled=false"), "projects") == ["leaf", "middle"]


def test_a_token_has_what_is_inherited_there(cloud):
    top = cloud.make("project", name="top")["id"]
    leaf = cloud.make("project", name="leaf", parent_id=top)["id"]
    user = cloud.make("user", name="ann", password="pw")["id"]
    one = below(f"projects/{top}", f"users/{user}", cloud.role("manager"))
    cloud.admin("PUT", one, ok=204)
    ann = cloud.login("ann", "pw", {"project": {"id": leaf}})
    shown = ann.get("/v3/auth/tokens", headers={"X-Subject-Token": ann.token})["token"]
    assert names(shown, "roles") == ["manager", "member", "reader"]
    cloud.nobody("POST", "/v3/auth/tokens", by_password("ann", "pw", {"project": {"id": top}}), ok=401)
    cloud.admin.delete(one)
    ann.get("/v3/auth/projects", ok=401)


@pytest.fixture
def vouched(cloud):
    """A user whom a provider puts into a group: (user, group, set the end of it in hours from now)."""
    user, group = cloud.make("user", name="fed", password="pw")["id"], cloud.make("group", name="fed")["id"]
    with cloud.db.transaction() as tx:
        tx.execute(insert(IdentityProvider).values(id="idp", domain_id="default"))

    def until(hours):
        with cloud.db.transaction() as tx:
            for row in tx.scalars(select(VouchedMember)):
                tx.delete(row)
            tx.flush()
            end = datetime.now(UTC) + timedelta(hours=hours)
            tx.add(VouchedMember(user_id=user, group_id=group, identity_provider_id="idp", expires_at=end))

    return user, group, until


def test_who_is_vouched_for_is_in_the_group_until_then(cloud, vouched):
    user, group, until = vouched
    project = cloud.make("project", name="p")["id"]
    cloud.admin("PUT", f"/v3/projects/{project}/groups/{group}/roles/{cloud.role('reader')}", ok=204)
    for hours, projects in ((1, ["p"]), (-1, [])):
        until(hours)
        fed = cloud.login("fed", "pw")
        assert names(fed.get("/v3/auth/projects"), "projects") == projects
        assert names(cloud.admin.get(f"/v3/users/{user}/projects"), "projects") == projects
        rows = cloud.admin.get(f"/v3/role_assignments?effective&user.id={user}")["role_assignments"]
        assert [row["scope"] for row in rows] == [{"project": {"id": project}}] * len(projects)
        groups = cloud.admin.get(f"/v3/users/{user}/groups")["groups"]
        assert [row["name"] for row in groups] == ["fed"] * len(projects)
        assert all(datetime.fromisoformat(row["membership_expires_at"]).replace(tzinfo=UTC) > datetime.now(UTC) for row in groups)
    cloud.admin("PUT", f"/v3/groups/{group}/users/{user}", ok=204)
    assert [row["membership_expires_at"] for row in cloud.admin.get(f"/v3/users/{user}/groups")["groups"]] == [None]
    until(1)
    assert [row["membership_expires_at"] for row in cloud.admin.get(f"/v3/users/{user}/groups")["groups"]] == [None]
    assert len(cloud.admin.get(f"/v3/role_assignments?effective&user.id={user}")["role_assignments"]) == 1


def test_implied_roles_with_their_links(cloud):
    one, two = cloud.make("role", name="one")["id"], cloud.make("role", name="two")["id"]
    path = f"/v3/roles/{one}/implies/{two}"
    made = cloud.admin.put(path, ok=201)
    assert made["links"]["self"].endswith(path)
    assert made["role_inference"]["prior_role"]["links"]["self"].endswith(f"/v3/roles/{one}")
    assert cloud.admin.get(f"/v3/roles/{one}/implies")["links"]["self"].endswith(f"/v3/roles/{one}/implies")
    for at in ("/v3/role_inferences", f"/v3/roles/{one}/implies"):
        cloud.admin("HEAD", at, ok=200)
    cloud.admin("HEAD", path, ok=204)
    cloud.admin("PUT", f"/v3/roles/{one}/implies/{one}", ok=403)
    for wrong in (f"/v3/roles/none/implies/{two}", f"/v3/roles/{one}/implies/none"):
        for method in ("PUT", "GET", "HEAD", "DELETE"):
            cloud.admin(method, wrong, ok=404)
    cloud.admin.get("/v3/roles/none/implies", ok=404)
    cloud.admin("PUT", f"/v3/roles/{two}/implies/{one}", ok=201)  # a ring is no harm
    user = cloud.make("user", name="u")["id"]
    cloud.grant("one", user=user)
    assert len(cloud.admin.get(f"/v3/role_assignments?effective&user.id={user}")["role_assignments"]) >= 2


def test_a_domains_own_role_implies_what_it_likes(cloud):
    domain, other = cloud.make("domain", name="d")["id"], cloud.make("domain", name="e")["id"]
    own, same, foreign = (
        cloud.make("role", name=name, domain_id=where)["id"] for name, where in (("own", domain), ("same", domain), ("far", other))
    )
    for implied in (same, foreign, cloud.role("reader")):
        cloud.admin("PUT", f"/v3/roles/{own}/implies/{implied}", ok=201)
    cloud.admin("PUT", f"/v3/roles/{cloud.role('reader')}/implies/{own}", ok=403)
    cloud.admin("PUT", f"/v3/roles/{own}/implies/{cloud.role('admin')}", ok=403)
    assert names(cloud.admin.get(f"/v3/roles?domain_id={domain}"), "roles") == ["own", "same"]
    assert "own" not in names(cloud.admin.get("/v3/roles"), "roles")
    assert "own" not in names(cloud.admin.get("/v3/roles?domain_id="), "roles")
    user = cloud.make("user", name="u")["id"]
    cloud.admin("PUT", f"/v3/domains/{domain}/users/{user}/roles/{own}", ok=204)
    rows = cloud.admin.get(f"/v3/role_assignments?effective&user.id={user}&include_names")["role_assignments"]
    assert [row["role"]["name"] for row in rows] == ["reader"]
    (row,) = cloud.admin.get(f"/v3/role_assignments?user.id={user}&include_names")["role_assignments"]
    assert row["role"]["domain"] == {"id": domain, "name": "d"}


def test_a_domains_own_role_may_be_given_on_another_domain_by_who_sees_both(cloud):
    one, two = cloud.make("domain", name="one")["id"], cloud.house("two")
    role = cloud.make("role", name="porter", domain_id=one)["id"]
    there = f"/v3/domains/{two.id}/users/{two.ids['user']}/roles"
    cloud.admin("PUT", f"{there}/{role}", ok=204)
    assert names(cloud.admin.get(there), "roles") == ["porter"]
    project = cloud.make("project", name="p", domain_id=two.id)["id"]
    cloud.admin("PUT", f"/v3/projects/{project}/users/{two.ids['user']}/roles/{role}", ok=403)
    cloud.admin("PUT", f"/v3/system/users/{two.ids['user']}/roles/{role}", ok=403)
    assert two.manager.get(there)["roles"] == []
    seen = two.manager.get("/v3/role_assignments?include_names")["role_assignments"]
    assert {row["role"]["name"] for row in seen} >= {role}
    two.manager("PUT", f"{there}/{role}", ok=403)
    two.manager.delete(f"{there}/{role}", ok=403)
    cloud.admin.delete(f"{there}/{role}")


def test_roles_of_the_cloud_are_immutable(cloud):
    for name in ("admin", "manager", "member", "reader", "service"):
        path = f"/v3/roles/{cloud.role(name)}"
        assert cloud.admin.get(path)["role"]["options"] == {"immutable": True}
        cloud.admin.patch(path, {"role": {"name": "x"}}, ok=403)
        cloud.admin.delete(path, ok=403)


def test_a_deleted_role_ends_what_gives_it(cloud):
    _, user, project = cloud.member("ann")
    role, kept = cloud.make("role", name="r")["id"], cloud.make("role", name="k")["id"]
    ids = {name: uuid.uuid4().hex for name in ("one", "two")}
    trusts = {name: uuid.uuid4().hex for name in ("one", "two")}
    with cloud.db.transaction() as tx:
        for name, credential in ids.items():
            tx.add(ApplicationCredential(id=credential, name=name, user_id=user["id"], project_id=project["id"]))
            tx.add(Trust(id=trusts[name], trustor_user_id=user["id"], trustee_user_id=user["id"], impersonation=True, extra={}))
        tx.flush()
        for name, given in (("one", role), ("one", kept), ("two", kept)):
            tx.add(ApplicationCredentialRole(application_credential_id=ids[name], role_id=given))
            tx.add(TrustRole(trust_id=trusts[name], role_id=given))
    cloud.admin.delete(f"/v3/roles/{role}")
    with cloud.db.transaction() as tx:
        assert tx.scalars(select(ApplicationCredential.id)).all() == [ids["two"]]
        assert tx.scalars(select(Trust.id)).all() == [trusts["two"]]


def test_what_is_granted_goes_with_the_project_and_the_bearer(cloud):
    project, user = cloud.make("project", name="p")["id"], cloud.make("user", name="u")["id"]
    one = below(f"projects/{project}", f"users/{user}", cloud.role("reader"))
    cloud.admin("PUT", one, ok=204)
    cloud.admin.delete(f"/v3/projects/{project}")
    assert cloud.admin.get(f"/v3/role_assignments?user.id={user}")["role_assignments"] == []


def test_no_list_here_asks_more_for_more_rows(cloud):
    user, group = cloud.make("user", name="u")["id"], cloud.make("group", name="g")["id"]
    role = cloud.make("role", name="r")["id"]
    project = cloud.make("project", name="p")["id"]
    paths = (
        f"/v3/groups/{group}/users", f"/v3/users/{user}/groups", "/v3/groups", "/v3/roles", "/v3/role_inferences", f"/v3/roles/{role}/implies",
        f"/v3/projects/{project}/users/{user}/roles", below(f"projects/{project}", f"users/{user}"), f"/v3/projects/{project}/tags",
    )  # fmt: skip

    def count(path):
        with counted(cloud.db) as sent:
            cloud.admin.get(path)
        return len(sent)

    def counts():
        """Of two tries the less: one may also look which key signs now."""
        return [min(count(path), count(path)) for path in paths]

    few = counts()
    for index in range(6):
        other = cloud.make("role", name=f"r{index}")["id"]
        cloud.admin("PUT", f"/v3/roles/{role}/implies/{other}", ok=201)
        cloud.admin("PUT", f"/v3/projects/{project}/users/{user}/roles/{other}", ok=204)
        cloud.admin("PUT", below(f"projects/{project}", f"users/{user}", other), ok=204)
        cloud.admin("PUT", f"/v3/projects/{project}/tags/t{index}", ok=201)
        cloud.admin("PUT", f"/v3/groups/{group}/users/{cloud.make('user', name=f'u{index}')['id']}", ok=204)
        cloud.admin("PUT", f"/v3/groups/{cloud.make('group', name=f'g{index}')['id']}/users/{user}", ok=204)
    assert counts() == few
    assert len(cloud.admin.get(f"/v3/users/{user}/groups")["groups"]) == 6
    assert len(cloud.admin.get(f"/v3/groups/{group}/users")["users"]) == 6
