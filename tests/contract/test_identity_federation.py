"""The real clients of federated log-in against identity on a socket and an OpenID provider: keystoneauth1's v3oidc plugins, the CLI, the SDK."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import openstack
import pytest
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3

from common.api.server import Server
from identity.api import SERVICE
from identity.service.federation import issuer
from tests.support import idp
from tests.support.identity import ADMIN_PASSWORD, Cloud, cheap_hashes

ROOT = "/v3/OS-FEDERATION"
RULES = [{
    "local": [{"user": {"name": "{0}"}, "projects": [{"name": "team", "roles": [{"name": "member"}]}]}],
    "remote": [{"type": "OIDC-preferred_username"}],
}]  # fmt: skip


@pytest.fixture
def provider():
    issuer.issuer_of.cache_clear()
    with idp.running() as running:
        yield running


@pytest.fixture
def served(db, provider):
    """Identity on a socket, which the provider vouches to."""
    with cheap_hashes(), socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        cloud = Cloud(db)
        values = {"enabled": True, "remote_ids": [provider.url], "audiences": ["cloud"], "domain_id": "default"}
        cloud.admin.put(f"{ROOT}/identity_providers/acme", {"identity_provider": values}, ok=201)
        cloud.admin.put(f"{ROOT}/mappings/m", {"mapping": {"rules": RULES}}, ok=201)
        cloud.admin.put(f"{ROOT}/identity_providers/acme/protocols/openid", {"protocol": {"mapping_id": "m"}}, ok=201)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        row = cloud.admin.get("/v3/services?type=identity")["services"][0]["id"]
        for endpoint in cloud.admin.get(f"/v3/endpoints?service_id={row}")["endpoints"]:
            cloud.admin.patch(f"/v3/endpoints/{endpoint['id']}", {"endpoint": {"url": url + "/v3"}}, ok=200)
        server = Server(cloud.app, "identity", listening, waiting=SERVICE.waiting())
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield url
        server.stop()
        thread.join(10)


def plugins(url, provider, secret="robot-secret", password="ann-pw", **scope):
    here = {"auth_url": url + "/v3", "identity_provider": "acme", "protocol": "openid", **scope}
    client = {"client_id": "robot", "client_secret": secret, "discovery_endpoint": provider.url + idp.DISCOVERY}
    return {
        "robot": v3.OidcClientCredentials(**here, **client),
        "ann": v3.OidcPassword(**here, **client, username="ann", password=password),
        "bob": v3.OidcAccessToken(**here, access_token=provider.token("bob")),
    }  # fmt: skip


def test_the_oidc_plugins_log_in_and_are_scoped(served, provider):
    for name, plugin in plugins(served, provider, project_name="team", project_domain_id="default").items():
        found = session.Session(auth=plugin)
        access = plugin.get_access(found)
        assert (access.username, access.project_name, access.user_domain_id) == (name, "team", "default")
        assert "member" in access.role_names
        rows = found.get("/auth/projects", endpoint_filter={"service_type": "identity", "interface": "public"}).json()["projects"]
        assert [row["name"] for row in rows] == ["team"]


def test_without_a_scope_they_are_unscoped(served, provider):
    plugin = plugins(served, provider)["ann"]
    access = plugin.get_access(session.Session(auth=plugin))
    assert access.is_federated
    assert not access.scoped


def test_who_is_refused(served, provider):
    wrong = plugins(served, provider, secret="x", password="x")
    for name in ("robot", "ann"):
        with pytest.raises(exceptions.Unauthorized):
            session.Session(auth=wrong[name]).get_token()
    stale = v3.OidcAccessToken(served + "/v3", "acme", "openid", access_token=provider.token("bob", exp=1))
    with pytest.raises(exceptions.Unauthorized):
        session.Session(auth=stale).get_token()


STORY = """\
identity provider create beta --remote-id https://beta --remote-id https://beta/2 --description d --authorization-ttl 5
identity provider create gamma --domain default --disable
identity provider list --id beta
identity provider set beta --description e --disable --remote-id https://beta/3
identity provider show beta
mapping create n --rules {rules}
mapping set n --rules {rules} --schema-version 2.0
mapping list
mapping show n
federation protocol create openid --identity-provider beta --mapping n
federation protocol list --identity-provider beta
federation protocol set openid --identity-provider beta --mapping m
federation protocol show openid --identity-provider beta
service provider create sp --auth-url https://sp/auth --service-provider-url https://sp/sp --description d
service provider list
service provider set sp --disable --description e
service provider show sp
federation project list
federation domain list
service provider delete sp
federation protocol delete openid --identity-provider beta
mapping delete n
identity provider delete beta gamma
"""


def environment(served, **more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return {**clean, "OS_AUTH_URL": served + "/v3", "OS_IDENTITY_API_VERSION": "3", **more}


def cli(commands, env):
    command = Path(sys.executable).with_name("openstack")
    done = subprocess.run([command], input=commands, text=True, capture_output=True, env=env, timeout=600, check=False)
    wrong = [line for line in (done.stdout + done.stderr).splitlines() if "HTTP" in line or "rror" in line or "No " in line]
    assert not wrong, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_cli_tells_a_story(served, tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(RULES))
    admin = environment(
        served, OS_USERNAME="admin", OS_PASSWORD=ADMIN_PASSWORD, OS_PROJECT_NAME="admin", OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
    )  # fmt: skip
    told = cli(STORY.format(rules=rules), admin)
    assert "https://beta/3" in told
    assert "2.0" in told


@pytest.mark.slow
def test_the_cli_logs_in_by_client_credentials(served, provider):
    told = cli("token issue\nproject list --my-projects\n", environment(
        served, OS_AUTH_TYPE="v3oidcclientcredentials", OS_IDENTITY_PROVIDER="acme", OS_PROTOCOL="openid", OS_CLIENT_ID="robot",
        OS_CLIENT_SECRET="robot-secret", OS_DISCOVERY_ENDPOINT=provider.url + idp.DISCOVERY, OS_PROJECT_NAME="team", OS_PROJECT_DOMAIN_ID="default",
    ))  # fmt: skip
    assert "team" in told


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_the_sdk(served):
    identity = openstack.connect(
        auth_url=served + "/v3", username="admin", password=ADMIN_PASSWORD, project_name="admin", user_domain_id="default",
        project_domain_id="default", region_name="RegionOne", load_yaml_config=False, load_envvars=False,
    ).identity  # fmt: skip
    made = identity.create_identity_provider(id="beta", remote_ids=["https://beta"], is_enabled=True)
    assert (made.name, made.remote_ids, made.is_enabled) == ("beta", ["https://beta"], True)
    assert [row.id for row in identity.identity_providers()] == ["acme", "beta"]
    assert identity.create_mapping(id="n", rules=RULES).rules == RULES
    assert identity.create_federation_protocol("beta", id="openid", mapping_id="n").mapping_id == "n"
    assert [row.id for row in identity.federation_protocols("beta")] == ["openid"]
    assert identity.update_mapping("n", rules=RULES, schema_version="2.0").schema_version == "2.0"
    identity.delete_federation_protocol("beta", "openid")
    identity.delete_mapping("n")
    identity.delete_identity_provider("beta")
    assert [row.id for row in identity.mappings()] == ["m"]
    made = identity.create_service_provider(id="sp", auth_url="https://sp", sp_url="https://sp")
    assert identity.get_service_provider("sp").auth_url == made.auth_url
    identity.delete_service_provider("sp")
