"""Signatures of AWS's query APIs and of S3, made again from what was signed: nothing of the request is believed before they agree.

After "Signature Version 2" and "Version 4 signing process" of AWS's General Reference, and version 1 as old EC2 tools sign. Version 0,
which signs next to nothing, is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from common.errors import BadRequest, Unauthorized

V4 = "AWS4-HMAC-SHA256"
OLDEST = timedelta(minutes=15)
MISMATCH = "Invalid EC2 signature."


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request as a service passes it on. params: of the query; headers: their names in small letters."""

    signature: str
    verb: str
    host: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body_hash: str


def check_request(signed: Signed, secret: str) -> None:
    """Raise Unauthorized unless the request was signed with `secret`, and not longer than 15 minutes ago."""
    version = _version(signed)
    signature = signed.signature or (_authorization(signed, "Signature") if version == "4" else "")
    if not signature:
        raise Unauthorized("EC2 signature not supplied.")
    # Some clients sign the host without its port.
    hosts = dict.fromkeys((signed.host, _without_port(signed.host)))
    if not any(_same(signature, sign(signed, host, secret)) for host in hosts for sign in _SIGNERS[version]):
        raise Unauthorized(MISMATCH)
    _must_be_fresh(_v4_date(signed) if version == "4" else signed.params.get("Timestamp"))


def check_s3(signature: str, token: str, secret: str) -> None:
    """Raise Unauthorized unless `signature` is that of `token`, the base64 of what S3 has signed: HMAC-SHA1, or version 4.

    Whether its date still holds is for the service that takes the request: a link may have been signed for days.
    """
    try:
        text = base64.urlsafe_b64decode(token.encode())
    except ValueError:
        raise BadRequest("Invalid input for field/attribute token: it is not base64.") from None
    if text.startswith(b"AWS4"):
        made = _s3_v4(text, secret)
    else:
        made = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()
    if not _same(signature, made):
        raise Unauthorized(MISMATCH)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def _version(signed: Signed) -> str:
    version = signed.params.get("SignatureVersion")
    if version in ("1", "2"):
        return version
    algorithm = signed.headers.get("authorization") or signed.params.get("X-Amz-Algorithm") or ""
    if version is None and algorithm.split(" ")[0] == V4:
        return "4"
    raise Unauthorized("Unknown EC2 signature version.")


def _without_port(host: str) -> str:
    try:
        return urlsplit("//" + host).hostname or host
    except ValueError:
        return host


def _must_be_fresh(told: str | None) -> None:
    """A request that was signed without a time was meant to have none."""
    if told is None:
        return
    try:
        moment = datetime.fromisoformat(told)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        age = abs(datetime.now(UTC) - moment)
    except (ValueError, OverflowError):
        raise Unauthorized("The time of the signature is none.") from None
    if age > OLDEST:
        raise Unauthorized("The signature is too old, or of a time to come.")


def _hmac256(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _v1(signed: Signed, _host: str, secret: str) -> str:
    pairs = sorted(signed.params.items(), key=lambda pair: pair[0].lower())
    text = "".join(name + value for name, value in pairs if name != "Signature")
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _v2(signed: Signed, host: str, secret: str) -> str:
    params = {**signed.params, "SignatureMethod": "HmacSHA256"}
    text = f"{signed.verb.upper()}\n{host}\n{signed.path}\n{_query(params)}"
    return base64.b64encode(_hmac256(secret.encode(), text.encode())).decode()


def _query(params: Mapping[str, str]) -> str:
    pairs = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in params.items()]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs) if name not in ("Signature", "X-Amz-Signature"))


def _authorization(signed: Signed, name: str) -> str:
    """A part of version 4's `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, or of the query for it."""
    header = signed.headers.get("authorization")
    if header is None:
        return signed.params.get(f"X-Amz-{name}", "")
    parts = dict(part.strip().partition("=")[::2] for part in header.removeprefix(V4).split(","))
    return parts.get(name, "")


def _v4_date(signed: Signed) -> str:
    return signed.headers.get("x-amz-date") or signed.params.get("X-Amz-Date") or ""


def _v4(signed: Signed, host: str, secret: str) -> str:
    return _v4_of(signed, host, secret, _query(signed.params))


def _v4_form(signed: Signed, host: str, secret: str) -> str:
    """Of a POST whose parameters came in its body: they are in the hash of that, and its query is empty. Another request is as for `_v4`."""
    return _v4_of(signed, host, secret, "" if signed.verb.upper() == "POST" else _query(signed.params))


def _v4_of(signed: Signed, host: str, secret: str, query: str) -> str:
    names, headers = _authorization(signed, "SignedHeaders"), {"host": host, **signed.headers}
    if host != signed.host:
        headers["host"] = _without_port(headers["host"])
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names.split(";") if name in headers)
    request = f"{signed.verb.upper()}\n{signed.path}\n{query}\n{lines}\n{names}\n{signed.body_hash}"
    scope = _authorization(signed, "Credential").split("/")[1:]
    date = _v4_date(signed)
    if len(scope) != 4 or not date.startswith(scope[0]):
        raise Unauthorized(MISMATCH)
    digest = hashlib.sha256(request.encode()).hexdigest()
    return _sign_v4("\n".join((V4, date, "/".join(scope), digest)).encode(), scope, secret)


def _sign_v4(text: bytes, scope: list[str], secret: str) -> str:
    key = ("AWS4" + secret).encode()
    for part in (*scope[:3], "aws4_request"):
        key = _hmac256(key, part.encode())
    return _hmac256(key, text).hex()


def _s3_v4(text: bytes, secret: str) -> str:
    lines = text.decode("utf-8", "replace").split("\n")
    scope = lines[2].split("/") if len(lines) == 4 and lines[0] == V4 else []
    if len(scope) != 4 or scope[2:] != ["s3", "aws4_request"]:
        raise Unauthorized(MISMATCH)
    return _sign_v4(text, scope, secret)


_SIGNERS = {"1": (_v1,), "2": (_v2,), "4": (_v4, _v4_form)}
