"""What an operator does by hand: read a token for support, and clear away what is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from common.errors import Unauthorized
from identity import manage_tokens
from identity.models import RequestToken, RevokedToken, Trust
from tests.support.altered import altered
from tests.support.identity import Cloud


def test_a_token_is_read_for_support(cloud: Cloud):
    ann, user, project = cloud.member("ann")
    told = manage_tokens.explain(cloud.db, ann.token)
    assert (told["user_id"], told["scope"], told["roles"], told["ended_by"]) == (
        user["id"], {"kind": "project", "id": project["id"]}, ["member", "reader"], [],
    )  # fmt: skip
    with pytest.raises(Unauthorized):
        manage_tokens.explain(cloud.db, altered(ann.token, -40))


def test_it_says_all_that_ended_a_token(cloud: Cloud):
    ann, user, project = cloud.member("ann")

    def ends() -> str:
        return " ".join(manage_tokens.explain(cloud.db, ann.token)["ended_by"])

    cloud.admin.patch(f"/v3/projects/{project['id']}", {"project": {"enabled": False}}, ok=200)
    assert "disabled" in ends()
    assert "revoked" not in ends()
    ann_again = cloud.login("ann", "pw-ann")
    ann_again.delete("/v3/auth/tokens", headers={"X-Subject-Token": ann_again.token})
    assert "It was revoked." in manage_tokens.explain(cloud.db, ann_again.token)["ended_by"]
    cloud.admin.patch(f"/v3/users/{user['id']}", {"user": {"password": "new"}}, ok=200)
    assert "password was changed" in ends()
    cloud.admin.delete(f"/v3/users/{user['id']}")
    assert "is gone" in ends()


def test_what_is_over_goes_and_nothing_else(cloud: Cloud):
    _, one, project = cloud.member("one")
    _, other, _ = cloud.member("other")
    consumer = cloud.admin.post("/v3/OS-OAUTH1/consumers", {"consumer": {}}, ok=201)["consumer"]["id"]
    past, future = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    with cloud.db.transaction() as tx:
        people = {"trustor_user_id": one["id"], "trustee_user_id": other["id"], "impersonation": False, "extra": {}}
        for end in (past, future, None):
            tx.add(Trust(**people, expires_at=end))
        for end in (past, future):
            tx.add(RevokedToken(audit_id=f"a{end:%H%M}", expires_at=end))
            tx.add(RequestToken(consumer_id=consumer, secret="x", project_id=project["id"], expires_at=end))
    gone = manage_tokens.clean_up(cloud.db)
    assert (gone["trust"], gone["revoked_token"], gone["request_token"]) == (1, 1, 1)
    assert set(manage_tokens.clean_up(cloud.db).values()) == {0}
    with cloud.db.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(Trust)) == 2
