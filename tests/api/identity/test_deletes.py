"""What is deleted takes with it what is its own: no row of a user or a domain keeps them."""

from __future__ import annotations

import pytest

RULE = {"service": "compute", "path": "/v2.1/servers", "method": "GET"}


@pytest.fixture
def ann(cloud):
    """A member of a project of his own domain, with two application credentials that share a rule: (client, user, domain)."""
    domain = cloud.make("domain", name="mine")
    project = cloud.make("project", name="hers", domain_id=domain["id"])
    user = cloud.make("user", name="ann", password="pw", domain_id=domain["id"])
    cloud.grant("member", user=user["id"], project=project["id"])
    client = cloud.login("ann", "pw", {"project": {"id": project["id"]}}, domain=domain["id"])
    for name in ("one", "other"):
        credential = {"name": name, "secret": "s", "access_rules": [RULE]}
        client.post(f"/v3/users/{user['id']}/application_credentials", {"application_credential": credential}, ok=201)
    return client, user, domain


def log_in(cloud, user, ok):
    given = {"name": "one", "secret": "s", "user": {"id": user["id"]}}
    cloud.nobody(
        "POST", "/v3/auth/tokens", {"auth": {"identity": {"methods": ["application_credential"], "application_credential": given}}}, ok=ok
    )


def test_a_rule_in_use_keeps_no_user(cloud, ann):
    client, user, _ = ann
    log_in(cloud, user, 201)
    cloud.admin.delete(f"/v3/users/{user['id']}")
    log_in(cloud, user, 401)
    client.get("/v3/auth/projects", ok=401)


def test_a_rule_in_use_keeps_no_domain(cloud, ann):
    _, user, domain = ann
    cloud.admin.patch(f"/v3/domains/{domain['id']}", {"domain": {"enabled": False}}, ok=200)
    cloud.admin.delete(f"/v3/domains/{domain['id']}")
    cloud.admin.get(f"/v3/users/{user['id']}", ok=404)


def test_a_user_takes_no_other_s_credentials_along(cloud, ann):
    _, user, domain = ann
    other = cloud.make("user", name="bob", password="pw", domain_id=domain["id"])
    cloud.admin.delete(f"/v3/users/{other['id']}")
    log_in(cloud, user, 201)
