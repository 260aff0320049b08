"""Two requests at once: the one that comes second sees what the first has written, and is refused in a sentence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, text, update

from common.clock import Deadline
from identity.manage import OPERATOR
from identity.models import Project, Role, User
from identity.service import project

BLOCKED = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def meanwhile(db, change, ask):
    """The answer to `ask`, which comes while `change` is written and not yet committed."""
    with ThreadPoolExecutor(1) as pool:
        with db.transaction() as tx:
            change(tx)
            answer, patience = pool.submit(ask), Deadline(10)
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
                while not answer.done() and not other.scalar(BLOCKED):
                    assert not patience.passed
        return answer.result(10)


def disabled(row):
    return lambda tx: tx.execute(update(Project).where(Project.id == row["id"]).values(enabled=False))


def deleted(model, id):
    return lambda tx: tx.execute(delete(model).where(model.id == id))


def test_no_project_is_made_below_one_that_is_being_disabled(cloud):
    parent = cloud.make("project", name="p")
    body = {"project": {"name": "c", "parent_id": parent["id"]}}
    answer = meanwhile(cloud.db, disabled(parent), lambda: cloud.admin("POST", "/v3/projects", body))
    assert answer.status_code == 400
    assert "disabled" in answer.text


def test_no_project_is_enabled_below_one_that_is_being_disabled(cloud):
    parent = cloud.make("project", name="p")
    child = cloud.make("project", name="c", parent_id=parent["id"], enabled=False)
    body = {"project": {"enabled": True}}
    answer = meanwhile(cloud.db, disabled(parent), lambda: cloud.admin("PATCH", f"/v3/projects/{child['id']}", body))
    assert answer.status_code == 403


def test_no_project_is_made_below_one_that_is_being_deleted(cloud):
    parent = cloud.make("project", name="p")
    body = {"project": {"name": "c", "parent_id": parent["id"]}}
    assert meanwhile(cloud.db, deleted(Project, parent["id"]), lambda: cloud.admin("POST", "/v3/projects", body)).status_code == 404


def test_no_project_is_disabled_while_one_is_made_below_it(cloud):
    parent = cloud.make("project", name="p")
    body = {"project": {"enabled": False}}

    def make(tx):
        project.create_project(tx, OPERATOR, {"name": "c", "parent_id": parent["id"]})

    assert meanwhile(cloud.db, make, lambda: cloud.admin("PATCH", f"/v3/projects/{parent['id']}", body)).status_code == 403


@pytest.mark.parametrize("path", ["/v3/groups/{group}/users/{user}", "/v3/projects/{project}/users/{user}/roles/{role}"])
def test_who_goes_meanwhile_is_not_found(cloud, path):
    ids = {noun: cloud.make(noun, name="n")["id"] for noun in ("group", "user", "project", "role")}
    assert meanwhile(cloud.db, deleted(User, ids["user"]), lambda: cloud.admin("PUT", path.format(**ids))).status_code == 404


def test_a_role_that_goes_meanwhile_is_not_implied(cloud):
    prior, implied = (cloud.make("role", name=name)["id"] for name in ("r1", "r2"))
    answer = meanwhile(cloud.db, deleted(Role, implied), lambda: cloud.admin("PUT", f"/v3/roles/{prior}/implies/{implied}"))
    assert answer.status_code == 404
