"""Identity by its real clients: the CLI, the SDK, keystoneauth's plugins, keystonemiddleware in front of somebody's service, curl."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import openstack
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3
from keystoneclient.contrib.ec2.utils import Ec2Signer
from keystonemiddleware.auth_token import AuthProtocol

from tests.e2e.cloud import connect, eventually, run, told
from tests.e2e.leftovers import nothing_left, rows
from tests.support import idp

URL = "http://127.0.0.1:5000/v3"
SECRET = "e2e-secret"
SERVERS = "/v2.1/servers/detail"
RULES = [{"service": "compute", "method": "GET", "path": SERVERS}]
DEVICE = b"12345678901234567890"
FEDERATION = "/OS-FEDERATION/identity_providers/e2e"

MADE = f"""
domain create e2e
project create --domain e2e --tag blue --tag green e2e
project create --domain e2e --parent e2e e2e-child
user create --domain e2e --password {SECRET} --email ann@e2e.test ann
user create --domain e2e --password {SECRET} bob
user create --domain e2e --password {SECRET} watchman
role create e2e-operator
implied role create --implied-role e2e-operator member
role add --user ann --user-domain e2e --project e2e --project-domain e2e member
role add --user watchman --user-domain e2e --project e2e --project-domain e2e service
project set --domain e2e --tag red e2e
project set --domain e2e --remove-tag blue e2e
project list --domain e2e --tags red,green
project show --domain e2e e2e -f value -c tags
role assignment list --names --effective --user ann --user-domain e2e
registered limit create --service nova --default-limit 5 e2e-cores
limit create --project e2e --project-domain e2e --service nova --resource-limit 3 e2e-cores
limit list --project e2e --project-domain e2e --resource-name e2e-cores
"""
GONE = """
implied role delete --implied-role e2e-operator member
role delete e2e-operator
domain set --disable e2e
domain delete e2e
"""


def as_ann(**more: str) -> dict[str, str]:
    """The CLI's environment of the user ann."""
    who = {"OS_USERNAME": "ann", "OS_PASSWORD": SECRET, "OS_PROJECT_NAME": "e2e"}
    who |= {"OS_USER_DOMAIN_NAME": "e2e", "OS_PROJECT_DOMAIN_NAME": "e2e"}
    return {"OS_AUTH_URL": URL, "OS_IDENTITY_API_VERSION": "3", "OS_REGION_NAME": "RegionOne", **(more or who)}


@pytest.fixture(scope="module")
def root() -> Iterator[openstack.connection.Connection]:
    """The SDK as the cloud's admin."""
    cloud = connect("devstack-admin")
    yield cloud
    cloud.close()


@pytest.fixture(scope="module")
def made(root: openstack.connection.Connection) -> Iterator[str]:
    """A domain with people and a project, made by the CLI; nothing of identity is left behind it. What the CLI said."""
    before = rows()
    try:
        yield told(MADE, OS_CLOUD="devstack-admin")
    finally:
        identity = root.identity
        for limit in identity.limits(resource_name="e2e-cores"):
            identity.delete_limit(limit)
        for limit in identity.registered_limits(resource_name="e2e-cores"):
            identity.delete_registered_limit(limit)
        told(GONE, OS_CLOUD="devstack-admin")
        nothing_left({"sql": before}, engines=("sql",))


def password(name: str = "ann", **more: Any) -> v3.Password:
    scope = more or {"project_name": "e2e", "project_domain_name": "e2e"}
    return v3.Password(URL, username=name, password=SECRET, user_domain_name="e2e", **scope)


@pytest.fixture
def ann(made: str) -> session.Session:
    """keystoneauth as ann on her project."""
    return session.Session(auth=password())


@pytest.fixture
def credential(ann: session.Session) -> Iterator[dict[str, Any]]:
    """An application credential of ann's that lists servers and no more."""
    url = f"{URL}/users/{ann.get_user_id()}/application_credentials"
    found = ann.post(url, json={"application_credential": {"name": "rules", "access_rules": RULES}}).json()["application_credential"]
    yield found
    ann.delete(f"{url}/{found['id']}")
    for rule in ann.get(f"{URL}/users/{ann.get_user_id()}/access_rules").json()["access_rules"]:
        ann.delete(f"{URL}/users/{ann.get_user_id()}/access_rules/{rule['id']}")


def by_credential(found: dict[str, Any]) -> session.Session:
    return session.Session(auth=v3.ApplicationCredential(URL, found["secret"], application_credential_id=found["id"]))


def test_the_cli_made_it(made: str) -> None:
    for word in ("e2e-operator", "red", "green", "ann@e2e", "e2e-cores"):
        assert word in made, made


def test_an_application_credential_by_the_cli(made: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(RULES))
    told(f"application credential create --secret {SECRET} --role member --access-rules {rules} cli\n", **as_ann())
    try:
        program = as_ann(
            OS_AUTH_TYPE="v3applicationcredential", OS_APPLICATION_CREDENTIAL_NAME="cli", OS_APPLICATION_CREDENTIAL_SECRET=SECRET,
            OS_USERNAME="ann", OS_USER_DOMAIN_NAME="e2e",
        )  # fmt: skip
        told("server list\n", **program)
        with pytest.raises(AssertionError, match="401: Client Error"):
            told("flavor list\n", **program)
    finally:
        told("application credential delete cli\n", **as_ann())
    ids = told("access rule list -f value -c ID\n", **as_ann())
    rule = next(word for word in ids.split() if len(word) == 32)
    told(f"access rule delete {rule}\n", **as_ann())


def test_a_trust_lends_and_ends(ann: session.Session, root: openstack.connection.Connection) -> None:
    domain = root.identity.find_domain("e2e").id
    bob = root.identity.find_user("bob", domain_id=domain).id
    role = root.identity.find_role("member").id  # a tenant may not look up names
    me, project = ann.get_user_id(), ann.get_project_id()
    said = told(f"trust create --project {project} --role {role} --impersonate {me} {bob} -f json\n", **as_ann())
    trust = json.loads(said[said.index("{") : said.rindex("}") + 1])["id"]
    lent = session.Session(auth=password("bob", trust_id=trust))
    access = lent.auth.get_access(lent)
    assert (access.username, access.trust_id, access.trustee_user_id, access.project_name) == ("ann", trust, bob, "e2e")
    assert lent.get("http://127.0.0.1:8774/v2.1/servers").json() == {"servers": []}
    told(f"trust list --trustor {me}\ntrust show {trust}\ntrust delete {trust}\n", **as_ann())
    token = {"X-Auth-Token": access.auth_token}
    compute = session.Session()

    def refused() -> bool:
        return compute.get("http://127.0.0.1:8774/v2.1/servers", headers=token, raise_exc=False).status_code == 401

    eventually(refused, seconds=2, what="the trust's token has ended", every=0.1)


def test_ec2_credentials_sign(ann: session.Session, root: openstack.connection.Connection) -> None:
    said = told("ec2 credentials create -f json\n", **as_ann())
    keys = json.loads(said[said.index("{") : said.rindex("}") + 1])
    request = {
        "host": "ec2.e2e.test", "verb": "GET", "path": "/", "headers": {}, "body_hash": "",
        "params": {"AWSAccessKeyId": keys["access"], "Action": "DescribeInstances", "SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "Timestamp": _now()},
    }  # fmt: skip
    signature = Ec2Signer(keys["secret"]).generate(request)
    signed = {"ec2Credentials": {"access": keys["access"], "signature": signature, **request}}
    answer = root.session.post(f"{URL}/ec2tokens", json=signed)
    assert answer.json()["token"]["user"]["id"] == ann.get_user_id()
    told(f"ec2 credentials list\nec2 credentials delete {keys['access']}\n", **as_ann())
    assert root.session.post(f"{URL}/ec2tokens", json=signed, raise_exc=False).status_code == 404


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_the_sdk(made: str, root: openstack.connection.Connection) -> None:
    cloud = openstack.connection.Connection(session=session.Session(auth=password()), identity_api_version="3", region_name="RegionOne")
    identity, me = cloud.identity, cloud.current_user_id
    assert [row.name for row in identity.user_projects(me)] == ["e2e"]
    row = identity.create_application_credential(me, "sdk")
    assert row.secret
    assert [one.name for one in identity.application_credentials(me)] == ["sdk"]
    identity.delete_application_credential(me, row)
    with pytest.raises(openstack.exceptions.ForbiddenException):
        list(identity.users())
    domain = root.identity.find_domain("e2e")
    assert {user.name for user in root.identity.users(domain_id=domain.id)} == {"ann", "bob", "watchman"}
    assert root.identity.find_project("e2e", domain_id=domain.id).tags == ["green", "red"]
    effective = root.identity.role_assignments(user_id=me, effective=True, include_names=True)
    assert {item.role["name"] for item in effective} == {"member", "reader", "e2e-operator"}
    cloud.close()


def test_password_and_application_credential_plugins(ann: session.Session, credential: dict[str, Any]) -> None:
    access = ann.auth.get_access(ann)
    assert (access.username, access.project_name, access.user_domain_name) == ("ann", "e2e", "e2e")
    program = by_credential(credential)
    assert program.get(f"http://127.0.0.1:8774{SERVERS}").json() == {"servers": []}
    with pytest.raises(exceptions.Unauthorized):
        program.get("http://127.0.0.1:8774/v2.1/flavors")


def passcode() -> str:
    return TOTP(DEVICE, 6, SHA1(), 30).generate(time.time()).decode()


def test_totp_and_multifactor_plugins(made: str, root: openstack.connection.Connection) -> None:
    bob = root.identity.find_user("bob", domain_id=root.identity.find_domain("e2e").id)
    device = root.identity.create_credential(type="totp", user_id=bob.id, blob=base64.b32encode(DEVICE).decode())
    here = {"username": "bob", "user_domain_name": "e2e", "unscoped": True}
    try:
        found = session.Session(auth=v3.TOTP(URL, passcode(), **here))
        assert found.get_user_id() == bob.id
        root.session.patch(f"{URL}/users/{bob.id}", json={"user": {"options": {"multi_factor_auth_rules": [["password", "totp"]]}}})
        with pytest.raises(exceptions.MissingAuthMethods) as missing:
            session.Session(auth=password("bob", unscoped=True)).get_token()
        assert missing.value.required_auth_methods == [["password", "totp"]]
        # A passcode lets in once: a second device's has not been seen yet.
        other = root.identity.create_credential(type="totp", user_id=bob.id, blob=base64.b32encode(DEVICE[::-1]).decode())
        code = TOTP(DEVICE[::-1], 6, SHA1(), 30).generate(time.time()).decode()
        both = v3.MultiFactor(URL, ["v3password", "v3totp"], password=SECRET, passcode=code, **here)
        assert session.Session(auth=both).get_user_id() == bob.id
        root.identity.delete_credential(other)
    finally:
        root.identity.delete_credential(device)


@pytest.fixture
def provider(made: str, root: openstack.connection.Connection) -> Iterator[idp.Provider]:
    """An OpenID provider that identity trusts; its people come into the domain e2e."""
    domain = root.identity.find_domain("e2e").id
    rules = [{"local": [{"user": {"name": "{0}"}, "projects": [{"name": "team", "roles": [{"name": "member"}]}]}],
              "remote": [{"type": "OIDC-preferred_username"}]}]  # fmt: skip
    put, delete = root.session.put, root.session.delete
    with idp.running("wk-ctl") as running:
        values = {"enabled": True, "remote_ids": [running.url], "audiences": ["cloud"], "domain_id": domain}
        put(URL + FEDERATION, json={"identity_provider": values})
        put(f"{URL}/OS-FEDERATION/mappings/e2e", json={"mapping": {"rules": rules}})
        put(f"{URL}{FEDERATION}/protocols/openid", json={"protocol": {"mapping_id": "e2e"}})
        yield running
        delete(f"{URL}{FEDERATION}/protocols/openid")
        delete(f"{URL}/OS-FEDERATION/mappings/e2e")
        delete(URL + FEDERATION)


def test_oidc_client_credentials_plugin(provider: idp.Provider) -> None:
    robot = v3.OidcClientCredentials(
        URL, "e2e", "openid", client_id="robot", client_secret="robot-secret", discovery_endpoint=provider.url + idp.DISCOVERY,
        project_name="team", project_domain_name="e2e",
    )  # fmt: skip
    found = session.Session(auth=robot)
    access = robot.get_access(found)
    assert (access.username, access.project_name, access.is_federated) == ("robot", "team", True)
    assert found.get("http://127.0.0.1:8774/v2.1/servers").json() == {"servers": []}


@pytest.fixture
def guarded(made: str) -> Callable[..., tuple[int, dict[str, Any]]]:
    """A tiny WSGI service behind auth_token, which checks tokens as the user watchman. Gives status and what the service saw."""

    def service(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        names = ("HTTP_X_USER_NAME", "HTTP_X_PROJECT_NAME", "HTTP_X_ROLES", "HTTP_X_IDENTITY_STATUS")
        return [json.dumps({name: environ.get(name) for name in names}).encode()]

    watched = AuthProtocol(service, {
        "auth_type": "password", "auth_url": URL, "username": "watchman", "password": SECRET, "user_domain_name": "e2e",
        "project_name": "e2e", "project_domain_name": "e2e", "www_authenticate_uri": URL, "service_type": "compute", "token_cache_time": -1,
    })  # fmt: skip

    def ask(token: str | None, path: str = SERVERS) -> tuple[int, dict[str, Any]]:
        environ: dict[str, Any] = {"PATH_INFO": path, **({"HTTP_X_AUTH_TOKEN": token} if token else {})}
        setup_testing_defaults(environ)
        told: list[str] = []
        body = b"".join(watched(environ, lambda status, *_rest: told.append(status)))
        status = int(told[0].split()[0])
        return status, json.loads(body) if status == 200 else {}

    return ask


def test_keystonemiddleware_checks_our_tokens(guarded: Any, ann: session.Session, credential: dict[str, Any]) -> None:
    token = ann.get_token()
    status, seen = guarded(token, "/anything")
    assert status == 200
    assert (seen["HTTP_X_USER_NAME"], seen["HTTP_X_PROJECT_NAME"], seen["HTTP_X_IDENTITY_STATUS"]) == ("ann", "e2e", "Confirmed")
    assert set(seen["HTTP_X_ROLES"].split(",")) == {"member", "reader", "e2e-operator"}
    assert [guarded(bad)[0] for bad in (None, "x", token[:-4] + "aaaa")] == [401, 401, 401]
    program = by_credential(credential).get_token()
    assert guarded(program, SERVERS)[0] == 200
    assert guarded(program, "/v2.1/flavors")[0] == 401
    ann.delete(f"{URL}/auth/tokens", headers={"X-Subject-Token": token})
    eventually(lambda: guarded(token)[0] == 401, seconds=2, what="the revoked token is refused", every=0.1)


def curl(*words: str) -> tuple[int, str]:
    """Status and whole answer."""
    said = run(["curl", "-s", "-i", *words])
    return int(said.split()[1]), said


def test_curl(made: str) -> None:
    who = {"name": "ann", "password": SECRET, "domain": {"name": "e2e"}}
    scope = {"project": {"name": "e2e", "domain": {"name": "e2e"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}}
    status, said = curl("-H", "Content-Type: application/json", "-d", json.dumps(body), f"{URL}/auth/tokens")
    assert status == 201
    token = next(line.split(": ")[1].strip() for line in said.splitlines() if line.lower().startswith("x-subject-token"))
    assert len(token) < 1024
    status, said = curl("-H", f"X-Auth-Token: {token}", f"{URL}/auth/projects")
    assert status == 200
    assert '"e2e"' in said
    assert curl("-X", "DELETE", "-H", f"X-Auth-Token: {token}", "-H", f"X-Subject-Token: {token}", f"{URL}/auth/tokens")[0] == 204
    assert curl("-H", f"X-Auth-Token: {token}", f"{URL}/auth/projects")[0] == 401
