"""Identity providers, protocols, mappings and service providers, told as stories through the API on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.support.api import counted
from tests.support.identity import ADMIN_PASSWORD, admin_scope, by_password

ROOT = "/v3/OS-FEDERATION"
RULES = [
    {"local": [{"user": {"name": "{0}"}}, {"group_ids": "{1}"}], "remote": [{"type": "name"}, {"type": "ids", "whitelist": ["abc", "123"]}]}
]


def provider(cloud, name="acme", **values):
    return cloud.admin.put(f"{ROOT}/identity_providers/{name}", {"identity_provider": values}, ok=201)["identity_provider"]


def mapping(cloud, name="m", **values):
    return cloud.admin.put(f"{ROOT}/mappings/{name}", {"mapping": {"rules": RULES, **values}}, ok=201)["mapping"]


def test_an_identity_provider_lives_and_dies(cloud):
    path = f"{ROOT}/identity_providers/acme"
    made = provider(cloud, description="d", remote_ids=["https://b", "https://a"], authorization_ttl=5)
    links = made.pop("links")
    assert links["self"].endswith(path)
    assert links["protocols"] == links["self"] + "/protocols"
    domain = made.pop("domain_id")
    assert made == {"id": "acme", "enabled": False, "description": "d", "remote_ids": ["https://a", "https://b"], "authorization_ttl": 5}
    own = cloud.admin.get(f"/v3/domains/{domain}")["domain"]
    assert (own["name"], own["description"]) == (domain, "Auto generated federated domain for Identity Provider: acme")
    assert cloud.admin.get(path)["identity_provider"] == {**made, "domain_id": domain, "links": links}
    cloud.admin.put(path, {"identity_provider": {}}, ok=409)
    changed = cloud.admin.patch(path, {"identity_provider": {"enabled": True, "remote_ids": ["https://c", "https://a"]}}, ok=200)
    assert changed["identity_provider"]["remote_ids"] == ["https://a", "https://c"]
    assert changed["identity_provider"]["enabled"] is True
    assert cloud.admin.patch(path, {"identity_provider": {"remote_ids": None}}, ok=200)["identity_provider"]["remote_ids"] == []
    cloud.admin.delete(path)
    for method in ("GET", "DELETE"):
        cloud.admin(method, path, ok=404)
    cloud.admin.patch(path, {"identity_provider": {"enabled": True}}, ok=404)
    assert cloud.admin.get(f"/v3/domains/{domain}")["domain"]["enabled"]


def test_a_provider_may_share_a_domain_and_never_moves(cloud):
    assert provider(cloud, domain_id="default")["domain_id"] == "default"
    provider(cloud, "other", domain_id="default")
    cloud.admin.put(f"{ROOT}/identity_providers/x", {"identity_provider": {"domain_id": "none"}}, ok=404)
    cloud.admin.patch(f"{ROOT}/identity_providers/acme", {"identity_provider": {"domain_id": "default"}}, ok=400)


def test_a_remote_id_is_one_providers(cloud):
    provider(cloud, remote_ids=["https://a"])
    before = len(cloud.admin.get("/v3/domains")["domains"])
    cloud.admin.put(f"{ROOT}/identity_providers/other", {"identity_provider": {"remote_ids": ["https://b", "https://a"]}}, ok=409)
    assert len(cloud.admin.get("/v3/domains")["domains"]) == before
    provider(cloud, "other", remote_ids=["https://b"])
    cloud.admin.patch(f"{ROOT}/identity_providers/other", {"identity_provider": {"remote_ids": ["https://a"]}}, ok=409)
    assert cloud.admin.get(f"{ROOT}/identity_providers/other")["identity_provider"]["remote_ids"] == ["https://b"]


def test_audiences_are_kept_and_taken_away(cloud):
    path = f"{ROOT}/identity_providers/acme"
    assert provider(cloud, audiences=["cloud"])["audiences"] == ["cloud"]
    assert "audiences" not in cloud.admin.patch(path, {"identity_provider": {"audiences": None}}, ok=200)["identity_provider"]


@pytest.mark.parametrize("body", [
    {"enabled": "yes"}, {"enabled": None}, {"remote_ids": "https://a"}, {"remote_ids": [1]}, {"remote_ids": ["a", "a"]}, {"remote_ids": [""]},
    {"remote_ids": ["x" * 256]}, {"authorization_ttl": -1}, {"authorization_ttl": 2**31}, {"authorization_ttl": "5"}, {"color": "blue"},
    {"description": 5}, {"description": "\x00"}, {"domain_id": 5}, {"audiences": [5]},
])  # fmt: skip
def test_a_wrong_provider_is_refused(cloud, body):
    cloud.admin.put(f"{ROOT}/identity_providers/x", {"identity_provider": body}, ok=400)
    cloud.admin.get(f"{ROOT}/identity_providers/x", ok=404)


@pytest.mark.parametrize("name", ["x" * 65, "a b", "a%2Fb", "%C3%A9", "a%0Ab"])
def test_a_name_that_is_no_url_is_refused(cloud, name):
    for path, body in (("identity_providers", {"identity_provider": {}}), ("mappings", {"mapping": {"rules": RULES}})):
        assert cloud.admin("PUT", f"{ROOT}/{path}/{name}", body).status_code in (400, 404)


def test_a_protocol_lives_and_dies(cloud):
    provider(cloud)
    mapping(cloud)
    mapping(cloud, "n")
    above = f"{ROOT}/identity_providers/acme"
    path = f"{above}/protocols/openid"
    assert cloud.admin.get(f"{above}/protocols")["protocols"] == []
    made = cloud.admin.put(path, {"protocol": {"mapping_id": "m"}}, ok=201)["protocol"]
    assert made["links"]["self"].endswith(path)
    assert made["links"]["identity_provider"].endswith(above)
    assert {name: made[name] for name in made if name != "links"} == {"id": "openid", "mapping_id": "m"}
    assert cloud.admin.get(path)["protocol"] == made
    assert cloud.admin.get(f"{above}/protocols")["protocols"] == [{**made, "idp_id": "acme", "remote_id_attribute": None}]
    cloud.admin.put(path, {"protocol": {"mapping_id": "m"}}, ok=409)
    cloud.admin.put(f"{above}/protocols/x", {"protocol": {"mapping_id": "none"}}, ok=400)
    cloud.admin.put(f"{above}/protocols/x", {"protocol": {}}, ok=400)
    for method in ("password", "totp", "token"):
        cloud.admin.put(f"{above}/protocols/{method}", {"protocol": {"mapping_id": "m"}}, ok=400)
    cloud.admin.put(f"{ROOT}/identity_providers/none/protocols/x", {"protocol": {"mapping_id": "m"}}, ok=404)
    cloud.admin.patch(path, {"protocol": {"mapping_id": "none"}}, ok=400)
    changed = cloud.admin.patch(path, {"protocol": {"mapping_id": "n", "remote_id_attribute": "HTTP_OIDC_ISS"}}, ok=200)["protocol"]
    assert (changed["mapping_id"], changed["remote_id_attribute"]) == ("n", "HTTP_OIDC_ISS")
    cloud.admin.delete(f"{ROOT}/mappings/n", ok=409)
    cloud.admin.delete(path)
    cloud.admin.get(path, ok=404)
    cloud.admin.delete(path, ok=404)
    cloud.admin.delete(f"{ROOT}/mappings/n")
    assert cloud.admin.get(f"{ROOT}/identity_providers/none/protocols")["protocols"] == []


def test_a_providers_protocols_go_with_it(cloud):
    provider(cloud)
    mapping(cloud)
    cloud.admin.put(f"{ROOT}/identity_providers/acme/protocols/openid", {"protocol": {"mapping_id": "m"}}, ok=201)
    cloud.admin.delete(f"{ROOT}/identity_providers/acme")
    provider(cloud)
    cloud.admin.get(f"{ROOT}/identity_providers/acme/protocols/openid", ok=404)


def test_a_mapping_lives_and_dies(cloud):
    path = f"{ROOT}/mappings/m"
    made = mapping(cloud)
    assert made == {"id": "m", "rules": RULES, "schema_version": "1.0", "links": {"self": made["links"]["self"]}}
    assert made["links"]["self"].endswith(path)
    assert cloud.admin.get(path)["mapping"] == made
    cloud.admin.put(path, {"mapping": {"rules": RULES}}, ok=409)
    assert mapping(cloud, "repeated", id="repeated")["id"] == "repeated"
    cloud.admin.delete(f"{ROOT}/mappings/repeated")
    cloud.admin.put(f"{ROOT}/mappings/x", {"mapping": {"rules": RULES, "id": "y"}}, ok=400)
    rules = [{**RULES[0], "local": [{"group": {"id": "g"}}]}]
    assert cloud.admin.patch(path, {"mapping": {"rules": rules}}, ok=200)["mapping"]["rules"] == rules
    whole = cloud.admin.patch(path, {"mapping": {"rules": rules, "schema_version": "2.0"}}, ok=200)["mapping"]
    assert whole["schema_version"] == "2.0"
    assert cloud.admin.get(f"{ROOT}/mappings")["mappings"] == [whole]
    cloud.admin.delete(path)
    cloud.admin.get(path, ok=404)
    cloud.admin.patch(path, {"mapping": {"rules": rules}}, ok=404)


WHOLE = {"local": [{
    "user": {"id": "{0}", "name": "{0}", "email": "{1}", "domain": {"id": "d"}, "type": "local"}, "group": {"name": "g", "domain": {"name": "d"}},
    "groups": "{2}", "group_ids": "{2}", "domain": {"name": "d"}, "projects": [{"name": "{0}", "roles": [{"name": "member"}]}],
}], "remote": [
    {"type": "a"}, {"type": "b"}, {"type": "c", "whitelist": ["x.*"], "regex": True}, {"type": "d", "blacklist": ["x"]},
    {"type": "e", "any_one_of": [".*"], "regex": True}, {"type": "f", "not_any_of": ["x"], "regex": False},
]}  # fmt: skip


def test_the_whole_language_is_taken(cloud):
    assert mapping(cloud, rules=[WHOLE])["rules"] == [WHOLE]
    placed = [{**WHOLE, "local": [{"projects": [{"name": "p", "roles": [{"name": "r"}], "domain": {"id": "d"}}]}]}]
    cloud.admin.put(f"{ROOT}/mappings/two", {"mapping": {"rules": placed}}, ok=400)
    mapping(cloud, "two", rules=placed, schema_version="2.0")


@pytest.mark.parametrize("body", [
    {}, {"rules": []}, {"rules": {}}, {"rules": [{}]}, {"rules": [{**WHOLE, "x": 1}]}, {"rules": [{"local": [{}]}]},
    {"rules": [{"local": [], "remote": []}]}, {"rules": [{"local": [{"user": {"type": "other"}}], "remote": [{"type": "a"}]}]},
    {"rules": [{"local": [{"user": {"age": "5"}}], "remote": [{"type": "a"}]}]},
    {"rules": [{"local": [{"group": {"name": "g"}}], "remote": [{"type": "a"}]}]},
    {"rules": [{"local": [{"group": {"id": "g", "name": "g"}}], "remote": [{"type": "a"}]}]},
    {"rules": [{"local": [{"projects": [{"name": "p"}]}], "remote": [{"type": "a"}]}]},
    {"rules": [{"local": [{"groups": ["g"]}], "remote": [{"type": "a"}]}]},
    {"rules": [{"local": [{"user": {"name": "{1}"}}], "remote": [{"type": "a"}]}]},
    {"rules": [{"local": [{}], "remote": [{"type": "a", "any_one_of": ["x"], "not_any_of": ["y"]}]}]},
    {"rules": [{"local": [{}], "remote": [{"any_one_of": ["x"]}]}]}, {"rules": [{"local": [{}], "remote": [{"type": "a", "any_one_of": [5]}]}]},
    {"rules": [{"local": [{}], "remote": [{"type": "a", "regex": True}]}]},
    {"rules": [{"local": [{}], "remote": [{"type": "a", "any_one_of": ["("], "regex": True}]}]},
    {"rules": RULES, "schema_version": "3.0"}, {"rules": RULES, "schema_version": 1}, {"rules": RULES, "name": "x"},
    {"rules": [{"local": [{"user": {"name": "\x00"}}], "remote": [{"type": "a"}]}]},
])  # fmt: skip
def test_a_wrong_mapping_is_refused(cloud, body):
    cloud.admin.put(f"{ROOT}/mappings/x", {"mapping": body}, ok=400)
    mapping(cloud)
    cloud.admin.patch(f"{ROOT}/mappings/m", {"mapping": body}, ok=400)
    assert cloud.admin.get(f"{ROOT}/mappings/m")["mapping"]["rules"] == RULES


def test_a_service_provider_lives_and_dies(cloud):
    path = f"{ROOT}/service_providers/beta"
    urls = {"auth_url": "https://beta/auth", "sp_url": "https://beta/sp"}
    made = cloud.admin.put(path, {"service_provider": urls}, ok=201)["service_provider"]
    links = made["links"]
    assert links["self"].endswith(path)
    assert made == {**urls, "id": "beta", "enabled": False, "description": None, "relay_state_prefix": "ss:mem:", "links": links}
    cloud.admin.put(path, {"service_provider": urls}, ok=409)
    cloud.admin.put(f"{ROOT}/service_providers/x", {"service_provider": {"auth_url": "https://beta"}}, ok=400)
    cloud.admin.put(f"{ROOT}/service_providers/x", {"service_provider": {**urls, "sp_url": "beta"}}, ok=400)
    cloud.admin.put(f"{ROOT}/service_providers/x", {"service_provider": {**urls, "color": "blue"}}, ok=400)
    changed = cloud.admin.patch(path, {"service_provider": {"enabled": True, "relay_state_prefix": None}}, ok=200)["service_provider"]
    assert (changed["enabled"], changed["relay_state_prefix"]) == (True, "ss:mem:")
    cloud.admin.delete(path)
    cloud.admin.get(path, ok=404)


def test_a_token_names_the_service_providers_that_are_enabled(cloud):
    def told():
        return cloud.admin.get("/v3/auth/tokens", headers={"X-Subject-Token": cloud.admin.token})["token"]

    path = f"{ROOT}/service_providers/beta"
    urls = {"auth_url": "https://beta/auth", "sp_url": "https://beta/sp"}
    assert "service_providers" not in told()
    cloud.admin.put(path, {"service_provider": urls}, ok=201)
    assert "service_providers" not in told()
    cloud.admin.patch(path, {"service_provider": {"enabled": True}}, ok=200)
    assert told()["service_providers"] == [{"id": "beta", **urls}]
    # As in Keystone, whatever the token is for, and with the catalogue or without.
    for scope, query in (("unscoped", ""), ({"system": {"all": True}}, ""), (admin_scope(), "?nocatalog")):
        made = cloud.nobody("POST", f"/v3/auth/tokens{query}", by_password("admin", ADMIN_PASSWORD, scope), ok=201)
        seen = cloud.admin("GET", f"/v3/auth/tokens{query}", headers={"X-Subject-Token": made.headers["X-Subject-Token"]}, ok=200)
        for body in (made, seen):
            assert body.json["token"]["service_providers"] == [{"id": "beta", **urls}]
    cloud.admin.delete(path)
    assert "service_providers" not in told()


@pytest.mark.parametrize("plural", ["identity_providers", "service_providers"])
def test_lists_filter_page_and_cost_the_same(cloud, plural):
    noun = plural[:-1]
    urls = {"auth_url": "https://a", "sp_url": "https://a"} if noun == "service_provider" else {"domain_id": "default"}

    def ids(query=""):
        return [row["id"] for row in cloud.admin.get(f"{ROOT}/{plural}{query}")[plural]]

    costs = []
    for names in (("a",), ("b", "c", "d")):
        for name in names:
            remote = {"remote_ids": [f"https://{name}", f"https://{name}/2"]} if noun == "identity_provider" else {}
            cloud.admin.put(f"{ROOT}/{plural}/{name}", {noun: {**urls, **remote, "enabled": name == "b"}}, ok=201)
        with counted(cloud.db) as sent:
            ids()
        costs.append(len(sent))
    assert costs[0] == costs[1]
    assert ids() == ["a", "b", "c", "d"]
    assert ids("?enabled=true") == ["b"]
    assert ids("?id=c") == ["c"]
    assert ids("?enabled=false&limit=2") == ["a", "c"]
    assert ids("?enabled=false&limit=2&marker=c") == ["d"]
    cloud.admin.get(f"{ROOT}/{plural}?enabled=maybe", ok=400)


def test_who_is_no_admin_sees_and_changes_nothing(cloud):
    member, user, _project = cloud.member("ann")
    provider(cloud)
    mapping(cloud)
    for path in (
        "identity_providers",
        "identity_providers/acme",
        "identity_providers/acme/protocols",
        "mappings",
        "mappings/m",
        "service_providers",
    ):
        member.get(f"{ROOT}/{path}", ok=403)
    member.put(f"{ROOT}/mappings/x", {"mapping": {"rules": RULES}}, ok=403)
    cloud.grant("reader", user=user["id"])
    reader = cloud.login("ann", "pw-ann", {"system": {"all": True}})
    assert reader.get(f"{ROOT}/mappings")["mappings"]
    reader.delete(f"{ROOT}/mappings/m", ok=403)


def test_a_user_is_made_for_somebody_whom_a_provider_will_vouch_for(cloud):
    domain, other = cloud.make("domain", name="acme"), cloud.make("domain", name="beta")
    for provider, home in (("acme", domain), ("beta", other)):
        cloud.admin.put(f"{ROOT}/identity_providers/{provider}", {"identity_provider": {"domain_id": home["id"]}}, ok=201)
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "OIDC-sub"}]}]
    cloud.admin.put(f"{ROOT}/mappings/m", {"mapping": {"rules": rules}}, ok=201)
    for provider in ("acme", "beta"):
        cloud.admin.put(f"{ROOT}/identity_providers/{provider}/protocols/openid", {"protocol": {"mapping_id": "m"}}, ok=201)

    def federated(idp, unique="ann"):
        return [{"idp_id": idp, "protocols": [{"protocol_id": "openid", "unique_id": unique}]}]

    ann = cloud.make("user", name="ann", domain_id=domain["id"], federated=federated("acme"))
    bob = cloud.make("user", name="bob", domain_id=domain["id"])
    assert ann["federated"] == cloud.admin.get(f"/v3/users/{ann['id']}")["user"]["federated"] == federated("acme")
    assert "federated" not in bob
    for query in ("idp_id=acme", "unique_id=ann", "protocol_id=openid", "idp_id=acme&protocol_id=openid&unique_id=ann"):
        assert [user["id"] for user in cloud.admin.get(f"/v3/users?{query}")["users"]] == [ann["id"]]
    assert cloud.admin.get("/v3/users?idp_id=beta")["users"] == []
    cloud.admin.patch(f"/v3/users/{bob['id']}", {"user": {"federated": federated("acme")}}, ok=409)
    cloud.admin.patch(f"/v3/users/{bob['id']}", {"user": {"federated": federated("none")}}, ok=400)
    cloud.admin.patch(f"/v3/users/{ann['id']}", {"user": {"federated": federated("acme", "anna")}}, ok=200)
    assert cloud.admin.get("/v3/users?unique_id=ann")["users"] == []
    manager = cloud.make("user", name="boss", password="pw", domain_id=domain["id"])
    cloud.grant("manager", user=manager["id"], domain=domain["id"])
    boss = cloud.login("boss", "pw", {"domain": {"id": domain["id"]}}, domain=domain["id"])
    boss.patch(f"/v3/users/{bob['id']}", {"user": {"federated": federated("acme")}}, ok=200)
    boss.patch(f"/v3/users/{bob['id']}", {"user": {"federated": federated("beta")}}, ok=400)
