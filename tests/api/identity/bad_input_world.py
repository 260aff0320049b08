"""One of each thing that a path or a body of identity names, made when first asked for, and bodies that the handlers take."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from oauthlib import oauth1

from common.api.operation import Operation
from tests.api.identity.test_domain_config import CONFIG
from tests.api.identity.test_ec2 import s3_signed, signed
from tests.api.identity.test_federation_nouns import RULES
from tests.support.identity import ADMIN_PASSWORD, Cloud, admin_scope, by_password, by_token
from tests.support.odd import FRESH, fresh
from tests.support.samples import sample

OAUTH1 = "/v3/OS-OAUTH1"
URLS = {"auth_url": "https://sp.test/auth", "sp_url": "https://sp.test/sp"}
# What a PUT makes where its path says.
MADE_BY_PUT = ("region_id", "idp_id", "protocol_id", "mapping_id", "sp_id")
# What is asked only of the user who is asked about.
ONES_OWN = ("/OS-EC2", "/application_credentials")


class There:
    """Ids by what a path calls them, each made on first use; the asking user's and project's are `admin` and `own_project`."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._made: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._made:
            self._made[name] = MAKERS[name](self)
        return self._made[name]

    def anew(self, name: str) -> None:
        """Make another one the next time."""
        self._made.pop(name, None)

    def path_of(self, operation: Operation) -> str:
        """The operation's path with ids of what is there, or FRESH where a PUT makes it."""
        path, names = operation.path, re.findall(r"\{(\w+)\}", operation.path)
        for name in names:
            made = operation.method == "PUT" and name == names[-1] and name in MADE_BY_PUT
            own = name == "user_id" and path.endswith(ONES_OWN)
            path = path.replace("{" + name + "}", FRESH if made else self["admin" if own else name])
        return path

    def starts(self, operation: Operation) -> list[dict[str, Any]]:
        """Bodies that the handler takes."""
        assert operation.body is not None
        found = STARTS.get(f"{operation.method} {operation.path.removeprefix('/v3/')}")
        return found(self) if found else [sample(operation.body.shape)]


def _noun(noun: str, **values: str) -> Callable[[There], str]:
    return lambda there: str(there.cloud.make(noun, **{name: fresh(value) for name, value in values.items()})["id"])


def _federated(part: str, envelope: str, values: Callable[[There], dict[str, Any]]) -> Callable[[There], str]:
    def make(there: There) -> str:
        name = fresh(FRESH)
        where = part.replace("{idp_id}", there["idp_id"] if "{" in part else "")
        there.cloud.admin.put(f"/v3/OS-FEDERATION/{where}/{name}", {envelope: values(there)}, ok=201)
        return name

    return make


def _registered_limit(there: There) -> str:
    body = {**_resource(there), "default_limit": 5}
    return str(there.cloud.admin.post("/v3/registered_limits", {"registered_limits": [body]}, ok=201)["registered_limits"][0]["id"])


def _resource(there: There) -> dict[str, Any]:
    return {"service_id": there["service_id"], "resource_name": "cores"}


def _limit(there: There) -> str:
    return str(there.cloud.admin.post("/v3/limits", {"limits": [_first_limit(there)]}, ok=201)["limits"][0]["id"])


def _endpoint(there: There) -> str:
    return str(there.cloud.make("endpoint", interface="public", url="http://x", service_id=there["service_id"])["id"])


def _endpoint_group(there: There) -> str:
    body = {"endpoint_group": {"name": fresh(FRESH), "filters": {"interface": "public"}}}
    return str(there.cloud.admin.post("/v3/OS-EP-FILTER/endpoint_groups", body, ok=201)["endpoint_group"]["id"])


def _policy(there: There) -> str:
    return str(there.cloud.admin.post("/v3/policies", {"policy": {"blob": "x", "type": "x"}}, ok=201)["policy"]["id"])


def _option(name: str) -> Callable[[There], str]:
    def make(there: There) -> str:
        there.cloud.admin.put(f"/v3/domains/{there['domain_id']}/config", {"config": CONFIG})
        return name

    return make


def _credential(there: There) -> str:
    return str(there.cloud.make("credential", blob="x", type="cert", user_id=there["user_id"])["id"])


def _consumer(there: There) -> dict[str, Any]:
    made: dict[str, Any] = there.cloud.admin.post(f"{OAUTH1}/consumers", {"consumer": {}}, ok=201)["consumer"]
    return made


def _request_token(there: There) -> str:
    consumer, path = _consumer(there), f"{OAUTH1}/request_token"
    signer = oauth1.Client(consumer["id"], client_secret=consumer["secret"], callback_uri="oob")
    _, headers, _ = signer.sign("http://falconframework.org" + path, "POST")
    asked = there.cloud.nobody("POST", path, headers={**headers, "Requested-Project-Id": there["own_project"]}, ok=201)
    return parse_qs(asked.text)["oauth_token"][0]


def _named(noun: str) -> Callable[[There], str]:
    return lambda there: str(there.cloud.admin.get(f"/v3/{noun}?name=admin")[noun][0]["id"])


MAKERS: dict[str, Callable[[There], str]] = {
    "admin": _named("users"), "own_project": _named("projects"), "domain_id": _noun("domain", name=FRESH), "project_id": _noun("project", name=FRESH),
    "user_id": _noun("user", name=FRESH, password="pw"), "group_id": _noun("group", name=FRESH), "role_id": _noun("role", name=FRESH),
    "region_id": _noun("region"), "service_id": _noun("service", type="t"), "policy_id": _policy,
    "endpoint_id": _endpoint, "endpoint_group_id": _endpoint_group, "registered_limit_id": _registered_limit,
    "limit_id": _limit, "credential_id": _credential, "consumer_id": lambda there: str(_consumer(there)["id"]),
    "request_token_id": _request_token, "group": _option("ldap"), "option": _option("url"),
    "idp_id": _federated("identity_providers", "identity_provider", lambda _: {}), "sp_id": _federated("service_providers", "service_provider", lambda _: URLS),
    "mapping_id": _federated("mappings", "mapping", lambda _: {"rules": RULES}),
    "protocol_id": _federated("identity_providers/{idp_id}/protocols", "protocol", lambda there: {"mapping_id": there["mapping_id"]}),
}  # fmt: skip


def _logins(there: There) -> list[dict[str, Any]]:
    token = there.cloud.admin.token
    assert token
    body = {"application_credential": {"name": fresh(FRESH)}}
    made = there.cloud.admin.post(f"/v3/users/{there['admin']}/application_credentials", body, ok=201)["application_credential"]
    key = {"identity": {"methods": ["application_credential"], "application_credential": {"id": made["id"], "secret": made["secret"]}}}
    return [by_password("admin", ADMIN_PASSWORD, admin_scope()), by_token(token, admin_scope()), {"auth": key}]


def _user(there: There) -> dict[str, Any]:
    known = {"idp_id": there["idp_id"], "protocols": [{"protocol_id": there["protocol_id"], "unique_id": FRESH}]}
    return {"name": FRESH, "password": "p", "federated": [known], "options": {"multi_factor_auth_rules": [["password"]]}}


def _credentials(there: There) -> list[dict[str, Any]]:
    plain = {"blob": "x", "type": "cert", "user_id": there["user_id"]}
    keys = {**plain, "blob": json.dumps({"access": FRESH, "secret": "s"}), "type": "ec2", "project_id": there["project_id"]}
    return [{"credential": plain}, {"credential": keys}]


def _first_limit(there: There) -> dict[str, Any]:
    assert there["registered_limit_id"]
    return {**_resource(there), "resource_limit": 1, "project_id": there["project_id"]}


def _signed(there: There, sign: Callable[[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    path = f"/v3/users/{there['admin']}/credentials/OS-EC2"
    made = there.cloud.admin.post(path, {"tenant_id": there["own_project"]}, ok=201)["credential"]
    return [{"credentials": sign(made["access"], made["secret"])}]


def _trust(there: There) -> dict[str, Any]:
    who = {"trustor_user_id": there["admin"], "trustee_user_id": there["user_id"], "project_id": there["own_project"]}
    return {"trust": {**who, "impersonation": False, "roles": [{"name": "reader"}]}}


def _one(body: dict[str, Any]) -> Callable[[There], list[dict[str, Any]]]:
    return lambda _: [body]


IDP, MAPPING, SP = (
    f"OS-FEDERATION/{part}" for part in ("identity_providers/{idp_id}", "mappings/{mapping_id}", "service_providers/{sp_id}")
)
PROTOCOL = IDP + "/protocols/{protocol_id}"
GROUP = {"name": FRESH, "filters": {"interface": "public"}}
KEY = {"name": FRESH, "roles": [{"name": "reader"}], "access_rules": [{"service": "compute", "path": "/v2.1/servers", "method": "GET"}]}
STARTS: dict[str, Callable[[There], list[dict[str, Any]]]] = {
    **{f"POST {noun}s": _one({noun: {"name": FRESH}}) for noun in ("domain", "project", "group", "role")},
    **{f"PATCH {noun}s/{{{noun}_id}}": _one({noun: {"description": "d"}}) for noun in ("domain", "project", "group", "role", "region", "service")},
    **{f"{method} domains/{{domain_id}}/config": _one({"config": CONFIG}) for method in ("PUT", "PATCH")},
    "POST auth/tokens": _logins,
    "PATCH domains/{domain_id}/config/{group}": _one({"config": {"ldap": CONFIG["ldap"]}}),
    "PATCH domains/{domain_id}/config/{group}/{option}": _one({"config": {"url": "ldap://other.test"}}),
    "PUT projects/{project_id}/tags": _one({"tags": ["t"]}),
    "POST users": lambda there: [{"user": _user(there)}], "PATCH users/{user_id}": lambda there: [{"user": _user(there)}],
    "POST users/{user_id}/password": _one({"user": {"password": "new", "original_password": "pw"}}),
    "POST regions": _one({"region": {"id": FRESH, "parent_region_id": "RegionOne"}}), "PUT regions/{region_id}": _one({"region": {"description": "d"}}),
    "POST endpoints": lambda there: [{"endpoint": {"interface": "public", "url": "http://x", "service_id": there["service_id"], "region_id": "RegionOne"}}],
    "PATCH endpoints/{endpoint_id}": _one({"endpoint": {"url": "http://y"}}),
    "POST OS-EP-FILTER/endpoint_groups": _one({"endpoint_group": GROUP}), "PATCH OS-EP-FILTER/endpoint_groups/{endpoint_group_id}": _one({"endpoint_group": GROUP}),
    "PATCH policies/{policy_id}": _one({"policy": {"blob": "y"}}),
    "POST registered_limits": lambda there: [{"registered_limits": [{**_resource(there), "resource_name": FRESH, "default_limit": 5}]}],
    "PATCH registered_limits/{registered_limit_id}": _one({"registered_limit": {"description": "d"}}),
    "POST limits": lambda there: [{"limits": [_first_limit(there)]}],
    "PATCH limits/{limit_id}": _one({"limit": {"description": "d"}}),
    f"PUT {IDP}": _one({"identity_provider": {"remote_ids": [FRESH], "domain_id": "default"}}), f"PATCH {IDP}": _one({"identity_provider": {"description": "d"}}),
    **{f"{method} {PROTOCOL}": lambda there: [{"protocol": {"mapping_id": there["mapping_id"]}}] for method in ("PUT", "PATCH")},
    **{f"{method} {MAPPING}": _one({"mapping": {"rules": RULES}}) for method in ("PUT", "PATCH")},
    f"PUT {SP}": _one({"service_provider": URLS}), f"PATCH {SP}": _one({"service_provider": {"description": "d"}}),
    "POST credentials": _credentials,
    "PATCH credentials/{credential_id}": _one({"credential": {"blob": "y"}}),
    "POST users/{user_id}/credentials/OS-EC2": lambda there: [{"tenant_id": there["own_project"]}],
    "POST ec2tokens": lambda there: _signed(there, signed), "POST s3tokens": lambda there: _signed(there, s3_signed),
    "POST users/{user_id}/application_credentials": _one({"application_credential": KEY}), "POST OS-TRUST/trusts": lambda there: [_trust(there)],
    "PATCH OS-OAUTH1/consumers/{consumer_id}": _one({"consumer": {"description": "d"}}),
    "PUT OS-OAUTH1/authorize/{request_token_id}": _one({"roles": [{"name": "reader"}]}),
}  # fmt: skip
# What a request that is taken uses up.
ONCE = {"POST /v3/users/{user_id}/password": "user_id", "PUT /v3/OS-OAUTH1/authorize/{request_token_id}": "request_token_id"}
