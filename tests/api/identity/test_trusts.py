"""OS-TRUST: who may give what to whom, what the given one may hand on, and how it ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from common.auth import Actor, Delegated
from common.errors import BadRequest, Forbidden, NotFound
from identity.service import trust as service
from tests.support.api import counted
from tests.support.identity import by_password, by_token

TRUSTS = "/v3/OS-TRUST/trusts"


class Pair:
    """A trustor with a project, and a trustee with another."""

    def __init__(self, cloud, role="member"):
        self.cloud = cloud
        self.trustor, self.user, self.project = cloud.member("trustor", role)
        self.trustee, self.other, _ = cloud.member("trustee")

    def body(self, **more):
        return {"trust": {
            "trustor_user_id": self.user["id"], "trustee_user_id": self.other["id"], "project_id": self.project["id"], "impersonation": False,
            "roles": [{"name": "reader"}], **more,
        }}  # fmt: skip

    def give(self, **more):
        return self.trustor.post(TRUSTS, self.body(**more), ok=201)["trust"]

    def take(self, trust, ok=201):
        scope = {"OS-TRUST:trust": {"id": trust["id"]}}
        return self.cloud.nobody("POST", "/v3/auth/tokens", by_password("trustee", "pw-trustee", scope), ok=ok)

    def actor(self, trust=None, *, roles=("reader", "member"), **more):
        """The trustor, or who stands on the trust."""
        held = tuple((self.cloud.role(name), name) for name in roles)
        stands = Delegated("trust", trust["id"]) if trust else None
        user_id = self.other["id"] if trust and not trust["impersonation"] else self.user["id"]
        return Actor(
            user_id=user_id, project_id=self.project["id"], role_ids=held, roles=frozenset(roles), **{"delegation": stands, **more}
        )


@pytest.fixture
def pair(cloud):
    return Pair(cloud)


def in_days(days):
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize("impersonation", [True, False])
def test_what_its_token_could_be_for_is_what_the_user_in_it_has(cloud, pair, impersonation):
    """As in Keystone: of the trustor where it impersonates, beyond the trust's project too, though it buys no other token; else of the trustee."""
    other = cloud.make("project", name="other")
    cloud.grant("reader", user=pair.user["id"], project=other["id"])
    raw = pair.take(pair.give(impersonation=impersonation)).headers["X-Subject-Token"]
    found = sorted(row["name"] for row in cloud.nobody.as_(raw).get("/v3/auth/projects")["projects"])
    assert found == (["other", "trustor"] if impersonation else ["trustee"])
    cloud.nobody("POST", "/v3/auth/tokens", by_token(raw, {"project": {"id": other["id"]}}), ok=403)


def test_a_trust_lives_and_dies(cloud, pair):
    end = in_days(1)
    trust = pair.give(roles=[{"name": "reader"}, {"id": cloud.role("member")}], expires_at=end, note="kept")
    assert [role["name"] for role in trust["roles"]] == ["member", "reader"]
    assert trust["roles"][0]["links"]["self"].endswith(f"/v3/roles/{cloud.role('member')}")
    assert trust["roles_links"]["self"].endswith(f"/v3/OS-TRUST/trusts/{trust['id']}/roles")
    shown = {
        name: trust[name] for name in ("expires_at", "deleted_at", "remaining_uses", "redelegation_count", "redelegated_trust_id", "note")
    }
    assert shown == {
        "expires_at": end, "deleted_at": None, "remaining_uses": None, "redelegation_count": 0, "redelegated_trust_id": None, "note": "kept",
    }  # fmt: skip
    path = f"{TRUSTS}/{trust['id']}"
    for who in (pair.trustor, pair.trustee, cloud.admin):
        assert who.get(path)["trust"] == trust
        assert who("HEAD", path, ok=200).text == ""
        assert len(who.get(path + "/roles")["roles"]) == 2
        assert who.get(f"{path}/roles/{cloud.role('reader')}")["role"]["name"] == "reader"
        who("HEAD", f"{path}/roles/{cloud.role('reader')}", ok=200)
        who.get(f"{path}/roles/{cloud.role('admin')}", ok=404)
    for method in ("PATCH", "PUT"):
        pair.trustor(method, path, {"trust": {}}, ok=405)
    pair.trustee.delete(path, ok=403)
    pair.trustor.delete(path)
    for who in (pair.trustor, cloud.admin):
        who.get(path, ok=404)
        who.delete(path, ok=404)


@pytest.mark.parametrize(
    "told", ["2099-12-31T23:59:59Z", "2099-12-31T23:59:59.000000Z", "2099-12-31T23:59:59", "2100-01-01T01:59:59+02:00"]
)
def test_an_end_is_iso_8601(pair, told):
    assert pair.give(expires_at=told)["expires_at"] == "2099-12-31T23:59:59.000000Z"


def test_lists_are_for_those_concerned(cloud, pair):
    stranger, _, _ = cloud.member("stranger")
    one, two = pair.give(), pair.give(impersonation=True)
    ids = {one["id"], two["id"]}
    by_trustor, by_trustee = f"{TRUSTS}?trustor_user_id={pair.user['id']}", f"{TRUSTS}?trustee_user_id={pair.other['id']}"
    assert {row["id"] for row in pair.trustor.get(by_trustor)["trusts"]} == ids
    assert {row["id"] for row in pair.trustee.get(by_trustee)["trusts"]} == ids
    assert {row["id"] for row in cloud.admin.get(TRUSTS)["trusts"]} == ids
    assert cloud.admin.get(f"{TRUSTS}?trustor_user_id={pair.other['id']}")["trusts"] == []
    assert "roles" not in cloud.admin.get(TRUSTS)["trusts"][0]
    for path in (TRUSTS, TRUSTS + "?trustor_user_id=", by_trustor, by_trustee, f"{TRUSTS}?trustor_user_id=unknown"):
        stranger.get(path, ok=403)
    pair.trustor.get(by_trustee, ok=403)
    with counted(cloud.db) as sent:
        cloud.admin.get(TRUSTS)
    few = len(sent)
    for _ in range(5):
        pair.give()
    with counted(cloud.db) as sent:
        assert len(cloud.admin.get(TRUSTS)["trusts"]) == 7
    assert len(sent) == few
    assert len(cloud.admin.get(TRUSTS + "?limit=3")["trusts"]) == 3


def test_a_system_reader_sees_and_changes_nothing(cloud, pair):
    trust = pair.give()
    auditor = cloud.make("user", name="auditor", password="pw")
    cloud.grant("reader", user=auditor["id"])
    reader = cloud.login("auditor", "pw", {"system": {"all": True}})
    path = f"{TRUSTS}/{trust['id']}"
    assert reader.get(path)["trust"]["id"] == trust["id"]
    assert len(reader.get(TRUSTS)["trusts"]) == 1
    reader.delete(path, ok=403)
    reader.post(TRUSTS, pair.body(trustor_user_id=auditor["id"]), ok=403)


def test_strangers_see_nothing(cloud, pair):
    """Nor does the manager of another domain."""
    trust = pair.give()
    domain = cloud.make("domain", name="elsewhere")
    boss = cloud.make("user", name="boss", password="pw", domain_id=domain["id"])
    cloud.grant("reader", user=boss["id"], domain=domain["id"])
    stranger, _, _ = cloud.member("stranger")
    for who in (stranger, cloud.login("boss", "pw", {"domain": {"id": domain["id"]}}, domain=domain["id"])):
        for path in ("", "/roles", f"/roles/{cloud.role('reader')}"):
            who.get(f"{TRUSTS}/{trust['id']}{path}", ok=403)
            who.get(f"{TRUSTS}/unknown{path}", ok=404)
        who.delete(f"{TRUSTS}/{trust['id']}", ok=403)
        who.delete(f"{TRUSTS}/unknown", ok=404)


@pytest.mark.parametrize(("more", "status"), [
    ({"expires_at": "bad.123Z"}, 400), ({"expires_at": ""}, 400), ({"expires_at": "Z"}, 400), ({"expires_at": "2010-06-04T08:44:31.999999Z"}, 400),
    ({"expires_at": "9999-12-31T23:59:59-23:59"}, 400), ({"expires_at": "x" * 10000}, 400), ({"expires_at": 5}, 400),
    ({"remaining_uses": 0}, 400), ({"remaining_uses": -1}, 400), ({"remaining_uses": "a bad value"}, 400), ({"remaining_uses": 7.2}, 400),
    ({"remaining_uses": 2**63}, 400), ({"remaining_uses": True}, 400), ({"remaining_uses": 1, "allow_redelegation": True}, 400),
    ({"redelegation_count": 4, "allow_redelegation": True}, 403), ({"redelegation_count": -1}, 400), ({"redelegation_count": 2**70}, 400),
    ({"impersonation": "yes"}, 400), ({"impersonation": None}, 400), ({"trustee_user_id": None}, 400), ({"trustee_user_id": "a\x00b"}, 400),
    ({"trustee_user_id": "unknown"}, 404), ({"trustor_user_id": "unknown"}, 403), ({"project_id": "unknown"}, 403), ({"project_id": "x" * 65}, 400),
    ({"roles": []}, 403), ({"roles": None}, 400), ({"roles": [{}]}, 400), ({"roles": [{"fake_key": "x"}]}, 400), ({"roles": "reader"}, 400),
    ({"roles": [{"id": "x", "name": "y"}]}, 400), ({"roles": [{"id": "unknown"}]}, 404), ({"roles": [{"name": "unknown"}]}, 404),
    ({"roles": [{"name": "admin"}]}, 404), ({"roles": [{"name": "a\x00"}]}, 400), ({"project_id": None}, 404), ({"note": "\x00"}, 400),
])  # fmt: skip
def test_a_wrong_trust_is_refused(pair, more, status):
    refusal = pair.trustor.post(TRUSTS, pair.body(**more), ok=status)
    assert refusal["error"]["code"] == status


def test_a_role_that_one_has_not_is_as_one_that_is_not_there(cloud, pair):
    cloud.make("role", name="secret", domain_id=cloud.make("domain", name="d")["id"])
    told = [pair.trustor.post(TRUSTS, pair.body(roles=[{"name": name}]), ok=404)["error"]["message"] for name in ("secret", "nobody")]
    assert told[0].replace("secret", "nobody") == told[1]


def test_what_must_be_said(pair):
    for name in ("trustor_user_id", "trustee_user_id", "impersonation"):
        body = pair.body()
        del body["trust"][name]
        assert name in pair.trustor.post(TRUSTS, body, ok=400)["error"]["message"]
    assert pair.give(project_id=None, roles=[])["project_id"] is None


def test_only_the_trustor_makes_one(cloud, pair):
    cloud.admin.post(TRUSTS, pair.body(), ok=403)
    pair.trustee.post(TRUSTS, pair.body(), ok=403)


def test_it_may_be_for_a_project_that_the_token_is_not_for(cloud, pair):
    """What counts is what the trustor has there; a token that stands on something is for its own project alone."""
    elsewhere = cloud.make("project", name="elsewhere")["id"]
    cloud.grant("member", user=pair.user["id"], project=elsewhere)
    for scope in (None, {"project": {"id": elsewhere}}):
        trust = cloud.login("trustor", "pw-trustor", scope).post(TRUSTS, pair.body(), ok=201)["trust"]
        assert pair.take(trust).json["token"]["project"]["id"] == pair.project["id"]
    pair.trustor.post(TRUSTS, pair.body(project_id=elsewhere, roles=[{"name": "admin"}]), ok=404)
    cloud.admin.patch(f"/v3/projects/{elsewhere}", {"project": {"enabled": False}}, ok=200)
    pair.trustor.post(TRUSTS, pair.body(project_id=elsewhere), ok=403)
    pair.trustor.post(TRUSTS, pair.body(project_id=cloud.make("project", name="not his")["id"]), ok=403)


def test_a_program_gives_trusts_for_its_own_project_alone(cloud, pair):
    elsewhere = cloud.make("project", name="elsewhere")["id"]
    cloud.grant("member", user=pair.user["id"], project=elsewhere)
    credential = {"application_credential": {"name": "ci", "secret": "s", "unrestricted": True}}
    row = pair.trustor.post(f"/v3/users/{pair.user['id']}/application_credentials", credential, ok=201)["application_credential"]
    identity = {"methods": ["application_credential"], "application_credential": {"id": row["id"], "secret": "s"}}
    program = cloud.nobody.as_(cloud.nobody("POST", "/v3/auth/tokens", {"auth": {"identity": identity}}, ok=201).headers["X-Subject-Token"])
    program.post(TRUSTS, pair.body(), ok=201)
    program.post(TRUSTS, pair.body(project_id=elsewhere), ok=403)


def test_a_name_is_the_clouds_role_whatever_a_domain_calls_its_own(cloud, pair):
    domain = cloud.make("domain", name="d")
    cloud.make("role", name="reader", domain_id=domain["id"])
    assert [role["id"] for role in pair.give()["roles"]] == [cloud.role("reader")]


def test_one_that_is_over_is_not_there(cloud, pair):
    trust, used = pair.give(expires_at=in_days(1)), pair.give(remaining_uses=1)
    with cloud.db.engine.begin() as connection:
        connection.execute(text("UPDATE identity.trust SET expires_at = common.now() - interval '1 s' WHERE id = :id"), trust)
    assert cloud.db.run(lambda tx: service.use(tx, used["id"]))
    assert not cloud.db.run(lambda tx: service.use(tx, trust["id"]))
    for row in (trust, used):
        pair.trustor.get(f"{TRUSTS}/{row['id']}", ok=404)
        cloud.admin.get(f"{TRUSTS}/{row['id']}/roles", ok=404)
    assert cloud.admin.get(TRUSTS)["trusts"] == []
    pair.trustor.delete(f"{TRUSTS}/{trust['id']}", ok=404)
    pair.trustor.delete(f"{TRUSTS}/{used['id']}")
    pair.give()
    with cloud.db.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM identity.trust")).scalar() == 1


def test_no_use_is_taken_twice(cloud, pair):
    trust = pair.give(remaining_uses=3)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: cloud.db.run(lambda tx: service.use(tx, trust["id"])), range(12)))
    assert sum(taken) == 3
    endless = pair.give()
    assert cloud.db.run(lambda tx: service.use(tx, endless["id"]))
    assert pair.trustor.get(f"{TRUSTS}/{endless['id']}")["trust"]["remaining_uses"] is None
    assert not cloud.db.run(lambda tx: service.use(tx, "unknown"))


def test_a_trust_is_handed_on_three_times(cloud, pair):
    end = in_days(1)
    trust = pair.give(allow_redelegation=True, impersonation=True, expires_at=end)
    assert trust["redelegation_count"] == 3
    chain = [trust]
    for left in (2, 1, 0):
        values = pair.body(allow_redelegation=True, impersonation=True)["trust"]
        row, roles = cloud.db.run(lambda tx, values=values: service.create_trust(tx, pair.actor(chain[-1]), values))
        assert (row.redelegation_count, row.redelegated_trust_id, [role.name for role in roles]) == (left, chain[-1]["id"], ["reader"])
        chain.append(pair.trustor.get(f"{TRUSTS}/{row.id}")["trust"])
        assert chain[-1]["expires_at"] == end
    with pytest.raises(Forbidden):
        cloud.db.run(lambda tx: service.create_trust(tx, pair.actor(chain[-1]), pair.body(impersonation=True)["trust"]))
    pair.trustor.delete(f"{TRUSTS}/{chain[1]['id']}")
    pair.trustor.get(f"{TRUSTS}/{trust['id']}")
    for row in chain[1:]:
        pair.trustor.get(f"{TRUSTS}/{row['id']}", ok=404)


@pytest.mark.parametrize(("given", "asked", "refusal"), [
    ({}, {}, Forbidden), ({"allow_redelegation": True}, {"remaining_uses": 2}, Forbidden), ({"allow_redelegation": True}, {"impersonation": True}, Forbidden),
    ({"allow_redelegation": True}, {"roles": [{"name": "member"}]}, Forbidden), ({"allow_redelegation": True, "expires_at": in_days(1)}, {"expires_at": in_days(2)}, Forbidden),
    ({"allow_redelegation": True}, {"allow_redelegation": True, "redelegation_count": 3}, Forbidden), ({"allow_redelegation": True}, {"project_id": None, "roles": []}, Forbidden),
    ({"allow_redelegation": True, "redelegation_count": 1}, {"allow_redelegation": True, "remaining_uses": 1}, BadRequest),
    ({"allow_redelegation": True, "redelegation_count": 0}, {}, Forbidden), ({"allow_redelegation": True}, {"trustor_user_id": "other"}, Forbidden),
    ({"allow_redelegation": True}, {"roles": [{"name": "admin"}]}, NotFound),
])  # fmt: skip
def test_nothing_is_gained_by_handing_on(cloud, pair, given, asked, refusal):
    trust = pair.give(**given)
    values = pair.body(**{"trustor_user_id": pair.other["id"], **asked})["trust"]
    with pytest.raises(refusal):
        cloud.db.run(lambda tx: service.create_trust(tx, pair.actor(trust), values))


@pytest.mark.parametrize("stands", [
    Delegated("application_credential", "x"), Delegated("access_token", "x"), Delegated("access_token", "x", restricted=False),
    Delegated("application_credential", "x", restricted=False, access_rules=(("compute", "GET", "/v2.1/servers"),)),
])  # fmt: skip
def test_programs_give_no_trust(cloud, pair, stands):
    trust = pair.give()
    with pytest.raises(Forbidden):
        cloud.db.run(lambda tx: service.create_trust(tx, pair.actor(delegation=stands), pair.body()["trust"]))
    if stands.restricted:
        with pytest.raises(Forbidden):
            cloud.db.run(lambda tx: service.delete_trust(tx, pair.actor(delegation=stands), trust["id"]))
    other = Delegated("trust", "another")
    with pytest.raises(Forbidden):
        cloud.db.run(lambda tx: service.delete_trust(tx, pair.actor(delegation=other), trust["id"]))
    signed = pair.actor(methods=("ec2credential",))
    with pytest.raises(Forbidden):
        cloud.db.run(lambda tx: service.create_trust(tx, signed, pair.body()["trust"]))


def test_a_trust_that_is_used(cloud, pair):
    trust = pair.give(impersonation=True, remaining_uses=2)
    answer = pair.take(trust)
    token = answer.json["token"]
    assert (token["user"]["id"], token["project"]["id"]) == (pair.user["id"], pair.project["id"])
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["OS-TRUST:trust"]["id"] == trust["id"]
    bearer = cloud.nobody.as_(answer.headers["X-Subject-Token"])
    assert bearer.get(f"{TRUSTS}/{trust['id']}")["trust"]["remaining_uses"] == 1
    cloud.nobody.post("/v3/auth/tokens", by_token(bearer.token, {"project": {"id": pair.project["id"]}}), ok=403)
    bearer.post(TRUSTS, pair.body(), ok=403)
    bearer.post(f"/v3/users/{pair.user['id']}/application_credentials", {"application_credential": {"name": "x"}}, ok=403)
    pair.take(trust)
    pair.take(trust, ok=403)
    cloud.admin("DELETE", f"/v3/projects/{pair.project['id']}/users/{pair.user['id']}/roles/{cloud.role('member')}", ok=204)
    bearer.get(f"{TRUSTS}?trustor_user_id={pair.user['id']}", ok=401)


def test_a_trust_token_ends_with_its_trust(cloud, pair):
    trust = pair.give()
    token = pair.take(trust)
    assert token.json["token"]["user"]["id"] == pair.other["id"]
    bearer = cloud.nobody.as_(token.headers["X-Subject-Token"])
    bearer.get("/v3/auth/catalog")
    pair.trustor.delete(f"{TRUSTS}/{trust['id']}")
    bearer.get("/v3/auth/catalog", ok=401)
    pair.take(trust, ok=403)


def test_somebody_disabled_on_the_way_of_a_trust_ends_what_came_by_him(cloud, pair):
    last = cloud.make("user", name="last", password="pw-last")
    trust = pair.give(impersonation=True, allow_redelegation=True, redelegation_count=2)
    bearer = cloud.nobody.as_(pair.take(trust).headers["X-Subject-Token"])
    body = pair.body(impersonation=True, trustee_user_id=last["id"])
    handed_on = bearer.post(TRUSTS, body, ok=201)["trust"]
    scope = {"OS-TRUST:trust": {"id": handed_on["id"]}}
    token = cloud.login("last", "pw-last", scope)
    token.get("/v3/auth/projects")
    cloud.admin.patch(f"/v3/users/{trust['trustee_user_id']}", {"user": {"enabled": False}}, ok=200)
    token.get("/v3/auth/projects", ok=401)
    cloud.nobody.post("/v3/auth/tokens", by_password("last", "pw-last", scope), ok=401)
