"""Policies, which endpoints they are meant for, and what became of revoked tokens' lists, told as stories through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.api import counted

TYPE = "application/json"


def make(cloud, **more):
    return cloud.admin.post("/v3/policies", {"policy": {"blob": '{"a": "role:b"}', "type": TYPE, **more}}, ok=201)["policy"]


def ids(rows):
    return {row["id"] for row in rows}


def test_a_policy_lives_and_dies(cloud):
    policy = make(cloud, owner="me")
    path = f"/v3/policies/{policy['id']}"
    assert (policy["blob"], policy["type"], policy["owner"]) == ('{"a": "role:b"}', TYPE, "me")
    assert policy["links"]["self"].endswith(path)
    assert cloud.admin.get(path)["policy"] == policy
    cloud.admin("HEAD", path, ok=200)
    other = make(cloud, type="text/plain", blob="")
    assert ids(cloud.admin.get("/v3/policies")["policies"]) == {policy["id"], other["id"]}
    assert ids(cloud.admin.get("/v3/policies?type=text/plain")["policies"]) == {other["id"]}
    changed = cloud.admin.patch(path, {"policy": {"type": "x", "note": {"n": 1}}}, ok=200)["policy"]
    assert (changed["type"], changed["blob"], changed["owner"], changed["note"]) == ("x", policy["blob"], "me", {"n": 1})
    assert "other" in cloud.admin.patch(path, {"policy": {"id": "other"}}, ok=400)["error"]["message"]
    cloud.admin.patch(path, {"policy": {}}, ok=400)
    cloud.admin.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        cloud.admin(method, path, ok=404)
    cloud.admin.patch(path, {"policy": {"type": "x"}}, ok=404)


@pytest.mark.parametrize(("body", "field"), [
    ({"blob": "x"}, "type"), ({"type": "x"}, "blob"), ({"blob": {"a": 1}, "type": "x"}, "policy.blob"), ({"blob": None, "type": "x"}, "policy.blob"),
    ({"blob": "x", "type": "x" * 256}, "policy.type"), ({"blob": "x", "type": 5}, "policy.type"), ({"blob": "\x00", "type": "x"}, "NUL"),
    (None, "policy"), ([], "policy"),
])  # fmt: skip
def test_a_wrong_policy_is_refused(cloud, body, field):
    assert field in cloud.admin.post("/v3/policies", {"policy": body}, ok=400)["error"]["message"]


def world(cloud):
    """An endpoint in a region within another, and the paths by which a policy can come to be meant for it."""
    cloud.make("region", id="top")
    cloud.make("region", id="inner", parent_region_id="top")
    service = cloud.make("service", type="t")
    endpoint = cloud.make("endpoint", service_id=service["id"], interface="public", url="http://x", region_id="inner")
    of_service = f"services/{service['id']}"
    return endpoint, [of_service, f"{of_service}/regions/top", f"{of_service}/regions/inner", f"endpoints/{endpoint['id']}"]


def test_a_policy_is_meant_and_no_longer(cloud):
    _, aims = world(cloud)
    policy, other = make(cloud), make(cloud)
    for aim in aims:
        path, others = (f"/v3/policies/{row['id']}/OS-ENDPOINT-POLICY/{aim}" for row in (policy, other))
        for method in ("GET", "HEAD"):
            cloud.admin(method, path, ok=404)
        for _ in range(2):
            cloud.admin("PUT", path, ok=204)
        for method in ("GET", "HEAD"):
            cloud.admin(method, path, ok=204)
        cloud.admin("GET", others, ok=404)
        cloud.admin("PUT", others, ok=204)  # in the place of the first
        cloud.admin("GET", path, ok=404)
        cloud.admin.delete(path)
        cloud.admin("GET", others, ok=204)
        cloud.admin.delete(others)
        cloud.admin("GET", others, ok=404)
        for wrong in (path.replace(policy["id"], "none"), path[:-3] + "xyz"):
            for method in ("PUT", "GET", "HEAD", "DELETE"):
                cloud.admin(method, wrong, ok=404)


def test_the_nearest_policy_is_the_one_to_follow(cloud):
    endpoint, aims = world(cloud)
    effective = f"/v3/endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy"
    cloud.admin.get(effective, ok=404)
    cloud.admin.get("/v3/endpoints/none/OS-ENDPOINT-POLICY/policy", ok=404)
    found = []
    for aim in aims:
        policy = make(cloud)
        cloud.admin("PUT", f"/v3/policies/{policy['id']}/OS-ENDPOINT-POLICY/{aim}", ok=204)
        found.append(policy["id"])
        shown = cloud.admin.get(effective)["policy"]
        assert shown["id"] == policy["id"]
        assert shown["links"]["self"].endswith(f"/v3/policies/{policy['id']}")
    cloud.admin("HEAD", effective, ok=200)
    for policy_id in reversed(found):
        assert cloud.admin.get(effective)["policy"]["id"] == policy_id
        assert ids(cloud.admin.get(f"/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints")["endpoints"]) == {endpoint["id"]}
        cloud.admin.delete(f"/v3/policies/{policy_id}")
    cloud.admin.get(effective, ok=404)
    cloud.admin.get(f"/v3/policies/{found[0]}/OS-ENDPOINT-POLICY/endpoints", ok=404)


def test_a_region_means_those_within_it_and_no_other_service(cloud):
    endpoint, aims = world(cloud)
    policy, service = make(cloud), cloud.make("service", type="other")
    for more in ({"service_id": service["id"], "region_id": "inner"}, {"region_id": "RegionOne"}, {"region_id": None}):
        body = {"service_id": endpoint["service_id"], "interface": "public", "url": "http://y", **more}
        outside = cloud.make("endpoint", **body)
        cloud.admin("PUT", f"/v3/policies/{policy['id']}/OS-ENDPOINT-POLICY/{aims[1]}", ok=204)
        cloud.admin.get(f"/v3/endpoints/{outside['id']}/OS-ENDPOINT-POLICY/policy", ok=404)
    path = f"/v3/policies/{policy['id']}/OS-ENDPOINT-POLICY/endpoints"
    assert ids(cloud.admin.get(path)["endpoints"]) == {endpoint["id"]}
    with counted(cloud.db) as few:
        cloud.admin.get(path)
    for _ in range(5):
        cloud.make("endpoint", service_id=endpoint["service_id"], interface="public", url="http://z", region_id="inner")
    with counted(cloud.db) as many:
        assert len(cloud.admin.get(path)["endpoints"]) == 6
    assert len(many) == len(few)
    cloud.admin.delete(f"/v3/services/{endpoint['service_id']}")
    assert cloud.admin.get(path)["endpoints"] == []


def test_members_see_no_policy(cloud):
    ann, _, _ = cloud.member("ann")
    policy = make(cloud)
    endpoint, aims = world(cloud)
    for path in ("/v3/policies", f"/v3/policies/{policy['id']}", "/v3/policies/none", f"/v3/endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy",
                 f"/v3/policies/{policy['id']}/OS-ENDPOINT-POLICY/endpoints", f"/v3/policies/{policy['id']}/OS-ENDPOINT-POLICY/{aims[0]}"):  # fmt: skip
        ann("GET", path, ok=403)
    ann("POST", "/v3/policies", {"policy": {"blob": "x", "type": "x"}}, ok=403)
    ann("PUT", f"/v3/policies/{policy['id']}/OS-ENDPOINT-POLICY/{aims[0]}", ok=403)


def events(client, since=""):
    return client.get("/v3/OS-REVOKE/events" + (f"?since={since}" if since else ""))["events"]


def test_revoked_tokens_are_listed(cloud):
    assert events(cloud.admin) == []
    tokens = [cloud.token("admin", "secretadmin") for _ in range(2)]
    audits = []
    for token in tokens:
        subject = {"X-Subject-Token": token}
        audits.append(cloud.admin("GET", "/v3/auth/tokens", headers=subject, ok=200).json["token"]["audit_ids"][0])
        cloud.admin("DELETE", "/v3/auth/tokens", headers=subject, ok=204)
    first, second = found = events(cloud.admin)
    assert [one["audit_id"] for one in found] == audits
    assert first["issued_before"] == first["revoked_at"] < second["revoked_at"]
    assert datetime.fromisoformat(first["revoked_at"]) <= datetime.now(UTC) + timedelta(seconds=5)
    assert events(cloud.admin, first["revoked_at"]) == [second]
    assert events(cloud.admin, first["revoked_at"].replace("Z", "+00:00")) == [second]
    assert events(cloud.admin, second["revoked_at"].removesuffix("Z")) == []
    ann, user, project = cloud.member("ann")
    ann("GET", "/v3/OS-REVOKE/events", ok=403)
    cloud.grant("service", user=user["id"], project=project["id"])
    assert len(events(cloud.login("ann", "pw-ann", {"project": {"id": project["id"]}}))) == 2


@pytest.mark.parametrize("since", ["yesterday", "5", "%00", "2026-13-01T00:00:00Z", "x" * 300])
def test_since_is_a_moment(cloud, since):
    assert ("since" if since != "%00" else "NUL") in cloud.admin.get(f"/v3/OS-REVOKE/events?since={since}", ok=400)["error"]["message"]
    for far in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        assert events(cloud.admin, far) == []


def test_what_signed_tokens_needed_is_gone(cloud):
    for name in ("ca", "certificates"):
        assert cloud.nobody.get(f"/v3/OS-SIMPLE-CERT/{name}", ok=410)["error"]["code"] == 410
    cloud.nobody.get("/v3/auth/tokens/OS-PKI/revoked", ok=403)
