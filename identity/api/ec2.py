"""`/v3/users/{id}/credentials/OS-EC2`, and the tokens for requests that were signed with such keys: `/v3/ec2tokens`, `/v3/s3tokens`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from common.api.operation import Answer, operation
from common.api.request import Request
from common.api.shapes import ID, obj, wrapped
from common.config import CONF
from common.errors import Unauthorized
from identity.api import auth as tokens
from identity.api import views
from identity.api.shapes.answers import OPTIONAL_STRING, PAGING, SELF, STRING, listed
from identity.api.shapes.token import NOCATALOG, TOKEN
from identity.models import Credential
from identity.service import credential, crypt, ec2, signature, user
from identity.service.auth import Issued

Body = dict[str, Any]
ALL = "/v3/users/{user_id}/credentials/OS-EC2"
PATH = ALL + "/{access}"
KEYS = obj(
    {"access": STRING, "secret": STRING, "tenant_id": OPTIONAL_STRING, "user_id": STRING, "trust_id": OPTIONAL_STRING, "links": SELF},
    required=("access", "secret", "tenant_id", "user_id", "trust_id", "links"),
)  # fmt: skip
PART = {"type": "string", "maxLength": 8192}
PARTS = {"type": ["object", "null"], "maxProperties": 256, "additionalProperties": PART}
SIGNED = obj(
    {"access": PART, "signature": PART, "host": PART, "verb": PART, "path": PART, "params": PARTS, "headers": PARTS, "body_hash": PART,
     "token": {"type": "string", "maxLength": 65535}},
    extra=True,
)  # fmt: skip
# Three names that services have for the same.
NAMES = ("credentials", "credential", "ec2Credentials")
EXCHANGE = obj(dict.fromkeys(NAMES, SIGNED), extra=True)


def _view(request: Request, row: Credential) -> Body:
    keys = credential.read_keys(crypt.decrypt(row.blob))
    return {
        "access": keys["access"], "secret": keys["secret"], "trust_id": keys.get("trust_id"), "user_id": row.user_id,
        "tenant_id": row.project_id, "links": {"self": request.url(f"/v3/users/{row.user_id}/credentials/OS-EC2/{keys['access']}")},
    }  # fmt: skip


def _must_be_own(request: Request, action: str) -> str:
    """The user of the path, whose own business it is, or that of who may."""
    user_id = request.path["user_id"]
    if user_id != request.actor.user_id:
        request.must(action)
    return user_id


@operation(
    "POST", ALL, action=None, status=201, guarded=("identity:ec2_create_credential",), secret=True,
    body=obj({"tenant_id": ID}, required=("tenant_id",), extra=True), answer=wrapped("credential", KEYS),
)  # fmt: skip
def create_keys(request: Request) -> Body:
    """Create EC2 keys for a project."""
    user_id = _must_be_own(request, "identity:ec2_create_credential")
    row = request.run(lambda tx: ec2.create_keys(tx, request.actor, user_id, request.body["tenant_id"]))
    return {"credential": _view(request, row)}


@operation("GET", ALL, action=None, guarded=("identity:ec2_list_credentials",), query=PAGING, answer=listed("credentials", KEYS))
def list_keys(request: Request) -> Body:
    """List the EC2 keys of a user."""
    user_id = _must_be_own(request, "identity:ec2_list_credentials")
    request.read(lambda tx: user.get_user(tx, request.actor, user_id))
    return views.listing(request, "credentials", ec2.list_keys(request.actor, user_id), Credential, _view)


@operation("GET", PATH, action=None, guarded=("identity:ec2_get_credential",), answer=wrapped("credential", KEYS))
def get_keys(request: Request) -> Body:
    """Show EC2 keys."""
    user_id, access = _must_be_own(request, "identity:ec2_get_credential"), request.path["access"]
    return {"credential": _view(request, request.read(lambda tx: ec2.find_keys(tx, request.actor, user_id, access)))}


@operation("DELETE", PATH, action=None, guarded=("identity:ec2_delete_credential",), status=204)
def delete_keys(request: Request) -> None:
    """Delete EC2 keys."""
    user_id, access = _must_be_own(request, "identity:ec2_delete_credential"), request.path["access"]
    request.run(lambda tx: ec2.delete_keys(tx, request.actor, user_id, access))


@operation("POST", "/v3/ec2tokens", action="identity:ec2tokens_validate", secret=True, body=EXCHANGE, query=NOCATALOG, answer=TOKEN)
def create_ec2_token(request: Request) -> Answer:
    """The token for a request to a query API that was signed with EC2 keys."""
    given = _given(request)
    signed = signature.Signed(
        signature=given.get("signature", ""), verb=given.get("verb", ""), host=given.get("host", ""), path=given.get("path", ""),
        params=given.get("params") or {}, body_hash=given.get("body_hash", ""),
        headers={name.strip().lower(): value for name, value in (given.get("headers") or {}).items()},
    )  # fmt: skip
    issued = _exchange(request, given, lambda secret: signature.check_request(signed, secret))
    return Answer(tokens.answer(request, issued).body, headers={"X-Subject-Token": issued.raw})


@operation("POST", "/v3/s3tokens", action="identity:s3tokens_validate", secret=True, body=EXCHANGE, query=NOCATALOG, answer=TOKEN)
def create_s3_token(request: Request) -> Answer:
    """What the token for a request to S3 that was signed with EC2 keys would say; the token itself is not given out."""
    given = _given(request)
    check = signature.check_s3
    issued = _exchange(request, given, lambda secret: check(given.get("signature", ""), given.get("token", ""), secret))
    return Answer(tokens.answer(request, issued).body)


def _given(request: Request) -> Mapping[str, Any]:
    given: Mapping[str, Any] = next((request.body[name] for name in NAMES if request.body.get(name)), {})
    if not given.get("access"):
        raise Unauthorized("EC2 signature not supplied.")
    return given


def _exchange(request: Request, given: Mapping[str, Any], check: Callable[[str], None]) -> Issued:
    return ec2.exchange(request.service.db, given["access"], check, CONF.identity.token_ttl)
