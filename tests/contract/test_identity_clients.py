"""The real clients against identity on a socket: keystoneauth1, openstacksdk, and the CLI."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openstack
import pytest
import requests
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3

from common.api.server import Server
from common.config import CONF
from identity import manage
from identity.api import SERVICE
from identity.service import password
from identity.service.pool import Pool
from tests.support.identity import ADMIN_PASSWORD, Cloud, by_password, cheap_hashes


@pytest.fixture
def served(db):
    with cheap_hashes(), socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        cloud = Cloud(db)
        port = listening.getsockname()[1]
        row = cloud.admin.get("/v3/services?type=identity")["services"][0]["id"]
        for endpoint in cloud.admin.get(f"/v3/endpoints?service_id={row}")["endpoints"]:
            cloud.admin.patch(f"/v3/endpoints/{endpoint['id']}", {"endpoint": {"url": f"http://127.0.0.1:{port}/v3"}}, ok=200)
        server = Server(cloud.app, "identity", listening, waiting=SERVICE.waiting())
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.stop()
        thread.join(10)


def admin_auth(url: str, **more):
    scope = more or {"project_name": "admin", "project_domain_name": "Default"}
    return v3.Password(auth_url=url, username="admin", password=ADMIN_PASSWORD, user_domain_name="Default", **scope)


@pytest.mark.parametrize("path", ["", "/", "/v3", "/v3/"])
def test_keystoneauth_logs_in_from_whatever_url(served, path):
    found = session.Session(auth=admin_auth(served + "/v3" if not path.startswith("/v3") else served + path))
    access = found.auth.get_access(found)
    assert access.project_name == "admin"
    assert sorted(access.role_names) == ["admin", "manager", "member", "reader"]
    assert found.get_endpoint(service_type="compute", interface="public", region_name="RegionOne") == "http://127.0.0.1:8774/v2.1"
    assert found.get_endpoint(service_type="block-storage") == "http://127.0.0.1:8776/v3"
    assert found.get_endpoint_data(service_type="identity", min_version="3", max_version="3.latest").url.rstrip("/") == served + "/v3"


def test_keystoneauth_finds_the_version_below_the_root(served):
    from keystoneauth1.identity.generic import Password

    auth = Password(
        auth_url=served,
        username="admin",
        password=ADMIN_PASSWORD,
        user_domain_id="default",
        project_name="admin",
        project_domain_id="default",
    )
    found = session.Session(auth=auth)
    assert (
        found.get("/auth/projects", endpoint_filter={"service_type": "identity", "interface": "public"}).json()["projects"][0]["name"]
        == "admin"
    )


def test_keystoneauth_scopes_and_refusals(served):
    for scope, check in (({"system_scope": "all"}, "system_scoped"), ({"unscoped": True}, None)):
        found = session.Session(auth=admin_auth(served + "/v3", **scope))
        access = found.auth.get_access(found)
        assert check is None or getattr(access, check)
    wrong = v3.Password(auth_url=served + "/v3", username="admin", password="wrong", user_domain_id="default")
    with pytest.raises(exceptions.Unauthorized):
        session.Session(auth=wrong).get_token()
    token = session.Session(auth=admin_auth(served + "/v3", unscoped=True)).get_token()
    again = session.Session(auth=v3.Token(auth_url=served + "/v3", token=token, project_name="admin", project_domain_id="default"))
    assert again.auth.get_access(again).project_scoped


def test_keystoneauth_takes_a_new_token_after_a_revocation(served):
    found = session.Session(auth=admin_auth(served + "/v3"))
    first = found.get_token()
    url = served + "/v3/auth/tokens"
    assert found.delete(url, headers={"X-Subject-Token": first}).status_code == 204
    assert found.get(served + "/v3/users").status_code == 200
    assert found.get_token() != first


def test_keystoneauth_brings_more_than_one_factor(served):
    """v3multifactor at once, v3totp alone, and a password that is told what else is asked for."""
    admin = session.Session(auth=admin_auth(served + "/v3"))
    user = admin.post(served + "/v3/users", json={"user": {"name": "ann", "password": "pw", "domain_id": "default"}}).json()["user"]["id"]
    secret = bytes(range(20))
    blob = base64.b32encode(secret).decode()
    admin.post(served + "/v3/credentials", json={"credential": {"type": "totp", "user_id": user, "blob": blob}})
    who = {"username": "ann", "user_domain_id": "default"}

    def passcode(step):
        return TOTP(secret, 6, SHA1(), 30).generate(30 * step).decode()

    if time.time() % 30 > 15:  # the passcode of the step before lets in until this one ends
        time.sleep(30.5 - time.time() % 30)
    step = int(time.time() // 30)
    alone = v3.TOTP(auth_url=served + "/v3", passcode=passcode(step - 1), unscoped=True, **who)
    assert alone.get_access(session.Session(auth=alone)).user_id == user
    admin.patch(served + f"/v3/users/{user}", json={"user": {"options": {"multi_factor_auth_rules": [["password", "totp"]]}}})
    password_only = v3.Password(auth_url=served + "/v3", password="pw", unscoped=True, **who)
    with pytest.raises(exceptions.MissingAuthMethods) as missing:
        session.Session(auth=password_only).get_token()
    assert missing.value.required_auth_methods == [["password", "totp"]]
    assert missing.value.methods == ["password"]
    password_only.add_method(v3.TOTPMethod(passcode=passcode(step), **who))
    assert session.Session(auth=password_only).get_token()
    time.sleep(max(0, 30 * (step + 1) + 0.5 - time.time()))
    step = int(time.time() // 30)
    at_once = v3.MultiFactor(
        auth_url=served + "/v3", auth_methods=["v3password", "v3totp"], password="pw", passcode=passcode(step), unscoped=True, **who
    )
    assert at_once.get_access(session.Session(auth=at_once)).user_id == user


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_the_sdk(served):
    cloud = openstack.connect(
        auth_url=served + "/v3", username="admin", password=ADMIN_PASSWORD, project_name="admin", user_domain_id="default",
        project_domain_id="default", region_name="RegionOne", load_yaml_config=False, load_envvars=False,
    )  # fmt: skip
    identity = cloud.identity
    roles = {role.name: role for role in identity.roles()}
    domain = identity.create_domain(name="acme")
    project = identity.create_project(name="p", domain_id=domain.id)
    user = identity.create_user(name="ann", password="pw", domain_id=domain.id, default_project_id=project.id)
    group = identity.create_group(name="g", domain_id=domain.id)
    identity.add_user_to_group(user, group)
    assert identity.check_user_in_group(user, group)
    identity.assign_project_role_to_user(project, user, roles["member"])
    identity.assign_domain_role_to_group(domain, group, roles["reader"])
    assert identity.validate_user_has_project_role(project, user, roles["member"])
    assert [row.name for row in identity.user_projects(user)] == ["p"]
    assert {row.role["name"] for row in identity.role_assignments(user_id=user.id, effective=True, include_names=True)} == {
        "member",
        "reader",
    }
    assert identity.find_user("ann", domain_id=domain.id).id == user.id
    assert identity.find_project("none") is None
    identity.update_user(user, email="a@b")
    assert identity.get_user(user.id).email == "a@b"
    assert {service.type for service in identity.services()} >= {"identity", "compute"}
    assert len(list(identity.endpoints())) == 18
    assert [region.id for region in identity.regions()] == ["RegionOne"]
    identity.update_domain(domain, is_enabled=False)
    identity.delete_domain(domain)
    assert identity.find_user("ann", domain_id=domain.id) is None
    cloud.close()


STORY = """
domain create acme
project create --domain acme p
user create --domain acme --password pw --email a@b ann
group create --domain acme staff
group add user --group-domain acme --user-domain acme staff ann
group contains user --group-domain acme --user-domain acme staff ann
role create operator
role add --user ann --user-domain acme --project p --project-domain acme member
role add --group staff --group-domain acme --domain acme reader
role add --user ann --user-domain acme --system all reader
implied role create --implied-role reader operator
implied role list
role assignment list --names --effective --user ann --user-domain acme
role assignment list --system all --names
user list --domain acme --long
user list --project p
user set --domain acme --name anna ann
project list --domain acme
project set --domain acme --disable p
region create --parent-region RegionOne two
service create --name swift --enable object-store
endpoint create --region two swift public http://x/v1
endpoint list --service swift
catalog list
token issue
role remove --user anna --user-domain acme --project p --project-domain acme member
group remove user --group-domain acme --user-domain acme staff anna
user delete --domain acme anna
service delete swift
region delete two
role delete operator
domain set --disable acme
domain delete acme
"""


@pytest.mark.slow
def test_the_cli_tells_a_story(served):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
        "OS_AUTH_URL": served + "/v3", "OS_USERNAME": "admin", "OS_PASSWORD": ADMIN_PASSWORD, "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default", "OS_IDENTITY_API_VERSION": "3",
    }  # fmt: skip
    cli = Path(sys.executable).with_name("openstack")
    done = subprocess.run([cli], input=STORY, text=True, capture_output=True, env=environment, timeout=600, check=False)
    wrong = [line for line in (done.stdout + done.stderr).splitlines() if "HTTP" in line or "rror" in line or "No " in line]
    assert not wrong, done.stdout + done.stderr
    assert "operator" in done.stdout


def test_a_flood_of_logins_leaves_the_rest_alone(served, monkeypatch):
    """Hashes that never end, four times as many log-ins as may wait: the surplus is refused, and a token is still checked at once."""
    found = session.Session(auth=admin_auth(served + "/v3"))
    found.get_token()
    go, bound = threading.Event(), CONF.identity.hash_queue
    pool = Pool(1, bound)
    monkeypatch.setattr(password, "common", lambda: pool)
    monkeypatch.setattr(password, "verify_password", lambda *_: go.wait(600) and False)

    def wrong(index):
        body = by_password(f"user{index}", "wrong")
        return requests.post(served + "/v3/auth/tokens", json=body, timeout=600).status_code

    with ThreadPoolExecutor(4 * bound) as threads:
        flood = [threads.submit(wrong, index) for index in range(4 * bound)]
        try:
            until(lambda: sum(one.done() for one in flood) >= 3 * bound - 1)
            assert found.get(served + "/v3/users", timeout=60).status_code == 200
        finally:
            go.set()
    codes = [one.result() for one in flood]
    assert codes.count(429) == 3 * bound - 1
    assert codes.count(401) == bound + 1


def until(condition):
    for _ in range(12000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_the_command_bootstraps_again_without_harm(db):
    with cheap_hashes():
        for password in ("one", "two", "two"):
            manage.bootstrap(db, admin_password=password, public_url_base="http://10.0.0.1")
        cloud = Cloud(db)
        body = json.dumps(cloud.admin.get("/v3/auth/catalog"))
        assert "10.0.0.1" not in body
        assert len(cloud.admin.get("/v3/endpoints")["endpoints"]) == 18
        assert len(cloud.admin.get("/v3/role_assignments")["role_assignments"]) == 2
