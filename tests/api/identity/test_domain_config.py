"""The options of a domain, through the API."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from identity.service import crypt
from tests.support.api import counted

LDAP = {"url": "ldap://directory.test", "user_tree_dn": "ou=Users,dc=acme,dc=test", "use_tls": True, "page_size": 100}
CONFIG = {"identity": {"driver": "ldap"}, "ldap": LDAP}


@pytest.fixture
def path(cloud) -> str:
    return f"/v3/domains/{cloud.make('domain', name='acme')['id']}/config"


def put(cloud, path, config, ok=201):
    return cloud.admin.put(path, {"config": config}, ok=ok)


def test_options_live_and_die(cloud, path):
    admin = cloud.admin
    admin.get(path, ok=404)
    assert put(cloud, path, CONFIG) == {"config": CONFIG}
    assert admin.get(path) == {"config": CONFIG}
    assert admin.get(path + "/ldap") == {"config": {"ldap": LDAP}}
    assert admin.get(path + "/ldap/url") == {"config": {"url": LDAP["url"]}}
    admin.get(path + "/ldap/user", ok=404)
    admin("HEAD", path + "/ldap/url", ok=200)
    changed = admin.patch(path, {"config": {"ldap": {"user": "cn=reader", "use_tls": False}}}, ok=200)["config"]
    assert changed["ldap"] == {**LDAP, "user": "cn=reader", "use_tls": False}
    changed = admin.patch(path + "/ldap", {"config": {"ldap": {"url": "ldaps://other.test"}}}, ok=200)["config"]
    changed = admin.patch(path + "/ldap/page_size", {"config": {"page_size": 7}}, ok=200)["config"]
    assert (changed["ldap"]["url"], changed["ldap"]["page_size"], changed["identity"]) == ("ldaps://other.test", 7, {"driver": "ldap"})
    admin.delete(path + "/ldap/url")
    admin.delete(path + "/ldap/url", ok=404)
    admin.get(path + "/ldap/url", ok=404)
    admin.delete(path + "/ldap")
    assert admin.get(path) == {"config": {"identity": {"driver": "ldap"}}}
    assert put(cloud, path, {"ldap": LDAP}, ok=200) == {"config": {"ldap": LDAP}}
    admin.delete(path)
    admin.get(path, ok=404)
    admin.delete(path)


def test_a_password_is_kept_and_never_shown(cloud, path):
    secret = "s%(user)scret"
    config = {"ldap": {**LDAP, "password": secret, "user": "cn=%(password)s"}}
    answers = [put(cloud, path, config), cloud.admin.get(path), cloud.admin.get(path + "/ldap")]
    answers.append(cloud.admin.patch(path + "/ldap/password", {"config": {"password": secret + "2"}}, ok=200))
    answers.append(cloud.admin.patch(path, {"config": {"ldap": {"password": secret}}}, ok=200))
    assert not [answer for answer in answers if "scret" in str(answer) or "password'" in str(answer)]
    assert answers[0]["config"]["ldap"]["user"] == "cn=%(password)s"
    cloud.admin.get(path + "/ldap/password", ok=404)
    stored = cloud.db.run(lambda tx: tx.execute(text("SELECT option, value FROM identity.domain_secret")).all())
    assert [(option, crypt.decrypt(value)) for option, value in stored] == [("password", secret)]
    assert secret not in stored[0].value
    told = cloud.admin("PATCH", path + "/ldap/password", {"config": {"password": {"no": "text s3cr3t"}}}, ok=400).text
    assert "s3cr3t" not in told
    cloud.admin.delete(path + "/ldap/password")
    cloud.admin.delete(path + "/ldap/password", ok=404)


def test_a_config_of_secrets_alone_is_one(cloud, path):
    assert put(cloud, path, {"ldap": {"password": "x"}}) == {"config": {}}
    put(cloud, path, {"ldap": {"password": "x"}}, ok=200)
    cloud.admin.patch(path + "/ldap", {"config": {"ldap": {"password": "y"}}}, ok=200)
    cloud.admin.get(path, ok=404)
    cloud.admin.delete(path + "/ldap")


@pytest.mark.parametrize(("method", "tail", "config", "status"), [
    ("PUT", "", {}, 403), ("PUT", "", {"nova": {"x": 1}}, 403), ("PUT", "", {"ldap": {"nothing": 1}}, 403), ("PUT", "", {"ldap": {}}, 403),
    ("PUT", "", {"ldap": "x"}, 403), ("PUT", "", None, 400), ("PUT", "", [], 400), ("PATCH", "/nova", {"nova": {"x": 1}}, 403),
    ("PATCH", "/ldap", {"identity": {"driver": "ldap"}}, 403), ("PATCH", "/ldap", {**CONFIG}, 403), ("PATCH", "/identity", {"identity": {"list_limit": 4}}, 404),
    ("PATCH", "/ldap/url", {"user": "x"}, 403), ("PATCH", "/ldap/url", {"url": "ldap://x", "user": "x"}, 403), ("PATCH", "/ldap/user", {"user": "x"}, 404),
    ("PATCH", "/ldap/nothing", {"nothing": "x"}, 403), ("GET", "/nova", None, 403), ("GET", "/ldap/nothing", None, 403), ("GET", "/identity", None, 404),
    ("DELETE", "/nova", None, 403), ("DELETE", "/ldap/nothing", None, 403), ("DELETE", "/identity", None, 404),
])  # fmt: skip
def test_what_is_no_option_is_refused(cloud, path, method, tail, config, status):
    put(cloud, path, {"ldap": LDAP})
    cloud.admin(method, path + tail, None if method in ("GET", "DELETE") else {"config": config}, ok=status)
    assert cloud.admin.get(path) == {"config": {"ldap": LDAP}}


@pytest.mark.parametrize("wrong", [
    {"url": 5}, {"url": ""}, {"url": None}, {"url": "ldap://x" + "y" * 5000}, {"url": "ldap://a\x00"}, {"page_size": -1}, {"page_size": "x"},
    {"page_size": 1 << 40}, {"page_size": True}, {"page_size": 1.5}, {"use_tls": "perhaps"}, {"use_tls": 1}, {"query_scope": "deep"}, {"tls_req_cert": "x"},
    {"user_id_attribute": ""}, {"user_name_attribute": "uid)(x=*"}, {"group_objectclass": "*"}, {"user_attribute_ignore": [1]}, {"user_filter": ["x"]},
    {"user_additional_attribute_mapping": {"a": 1}}, {"suffix": None}, {"user": {"\ud800": 1}}, {"pool_retry_delay": "x"}, {"password": 5},
])  # fmt: skip
def test_a_value_that_cannot_be_is_refused(cloud, path, wrong):
    option = next(iter(wrong))
    told = cloud.admin("PUT", path, {"config": {"ldap": wrong}}, ok=400).text
    assert option in told or "surrogate" in told or "NUL" in told
    cloud.admin.get(path, ok=404)


@pytest.mark.parametrize("driver", ["", 1, None])
def test_a_driver_that_is_none_is_refused(cloud, path, driver):
    assert "driver" in cloud.admin("PUT", path, {"config": {"identity": {"driver": driver}}}, ok=400).text


def test_values_are_taken_in_the_forms_that_clients_send(cloud, path):
    given = {
        "page_size": "7",
        "use_tls": "True",
        "user_attribute_ignore": "a, b",
        "user": None,
        "chase_referrals": None,
        "url": "ldap://a,ldap://b",
    }
    kept = {
        "page_size": 7,
        "use_tls": True,
        "user_attribute_ignore": ["a", "b"],
        "user": None,
        "chase_referrals": None,
        "url": "ldap://a,ldap://b",
    }
    assert put(cloud, path, {"ldap": given})["config"]["ldap"] == kept


def test_defaults(cloud):
    get = cloud.admin.get
    whole = get("/v3/domains/config/default")["config"]
    assert (whole["identity"]["driver"], whole["ldap"]["url"]) == ("sql", "ldap://localhost")
    assert "password" not in whole["ldap"]
    assert get("/v3/domains/config/ldap/default")["config"] == {"ldap": whole["ldap"]}
    assert get("/v3/domains/config/ldap/query_scope/default")["config"] == {"query_scope": "one"}
    for path in ("nova/default", "ldap/nothing/default", "ldap/password/default"):
        get(f"/v3/domains/config/{path}", ok=403)


def test_what_a_password_must_look_like_is_for_everybody(cloud):
    client, _, _ = cloud.member("ann")
    found = client.get("/v3/domains/default/config/security_compliance")["config"]["security_compliance"]
    assert set(found) == {"password_regex", "password_regex_description"}
    assert set(client.get("/v3/domains/default/config/security_compliance/password_regex")["config"]) == {"password_regex"}
    client.get("/v3/domains/default/config/security_compliance/lockout_duration", ok=403)
    cloud.make("domain", name="other")
    other = cloud.admin.get("/v3/domains?name=other")["domains"][0]["id"]
    client.get(f"/v3/domains/{other}/config/security_compliance", ok=403)
    client.get("/v3/domains/none/config/security_compliance", ok=404)


def test_who_may(cloud, path):
    put(cloud, path, CONFIG)
    member, user, _ = cloud.member("ann")
    for method, tail in (("GET", ""), ("GET", "/ldap"), ("GET", "/ldap/url"), ("DELETE", ""), ("PATCH", ""), ("PUT", "")):
        member(method, path + tail, {"config": CONFIG} if method in ("PATCH", "PUT") else None, ok=403)
    member.get("/v3/domains/config/default", ok=403)
    cloud.grant("reader", user=user["id"])
    reader = cloud.login("ann", "pw-ann", {"system": {"all": True}})
    assert reader.get(path) == {"config": CONFIG}
    reader.get("/v3/domains/config/default")
    reader("DELETE", path, ok=403)
    cloud.nobody.get(path, ok=401)


def test_an_unknown_domain_and_a_deleted_one(cloud, path):
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        cloud.admin(method, "/v3/domains/none/config", {"config": CONFIG} if method in ("PUT", "PATCH") else None, ok=404)
    put(cloud, path, {"ldap": {**LDAP, "password": "x"}})
    domain = path.removesuffix("/config")
    cloud.admin.patch(domain, {"domain": {"enabled": False}}, ok=200)
    cloud.admin.delete(domain)
    for table in ("domain_config", "domain_secret"):
        assert cloud.db.run(lambda tx, table=table: tx.execute(text(f"SELECT count(*) FROM identity.{table}")).scalar()) == 0


def test_no_query_count_grows_with_options(cloud, path):
    put(cloud, path, {"ldap": {"url": "ldap://x"}})
    with counted(cloud.db) as few:
        cloud.admin.get(path)
    put(cloud, path, CONFIG, ok=200)
    with counted(cloud.db) as many:
        cloud.admin.get(path)
    assert len(few) == len(many)


def test_what_other_clouds_know_is_kept(cloud, path):
    given = {"identity": {"driver": "keystone.identity.backends.other"}, "ldap": {"url": "https://directory.test"}}
    assert cloud.admin("PUT", path, {"config": given}, ok=201).json["config"] == given
    domain_id = path.split("/")[3]
    cloud.admin.post("/v3/users", {"user": {"name": "ann", "domain_id": domain_id}}, ok=201)
