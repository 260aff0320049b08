"""`Idempotency-Key`: what is sent twice happens once, whenever the process died in between."""

from __future__ import annotations

import os
import signal
import threading
import types
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, event, func, select, text, update
from sqlalchemy.exc import OperationalError

from common.api import idempotency, shapes
from common.api.dialect import CINDER, KEYSTONE, NEUTRON, NOVA
from common.api.idempotency import forget, sweep
from common.api.operation import Answer, operation
from common.api.policy import ANYONE, rule
from common.api.service import Service
from common.auth import Authenticator, Delegated
from common.cmd import SERVICES, room
from common.db import Base, Database, clock, wake
from common.errors import Conflict, NotFound
from common.models import Audit, IdempotencyKey
from tests.api.test_kit import Toy
from tests.support.api import OTHER_PROJECT, PROJECT, Tokens, actor, client, counted
from tests.support.compute import world

BODY = {"toy": {"name": "bear"}}
OLD = timedelta(hours=24, seconds=1)


class Stage:
    """What a test does between the steps of a handler."""

    def __init__(self) -> None:
        self.before = self.between = self.after = self.effect = lambda request: None
        self.calls = 0


def toys(stage: Stage) -> types.ModuleType:
    module = types.ModuleType("toys")
    shape = shapes.wrapped("toy", shapes.obj({"name": shapes.NAME}, extra=True))

    @operation("POST", "/toys", action="toy:create", status=201, statuses=(400,), body=shape)
    @operation("POST", "/dolls", action="toy:create", status=201, body=shape)
    def create(request):
        stage.calls += 1
        name = request.body["toy"].pop("name")
        stage.before(request)
        seen = request.read(lambda tx: tx.scalar(select(func.count()).select_from(Toy)))
        toy = Toy(name=name, project_id=request.actor.project)

        def make(tx):
            tx.add(toy)
            wake(tx, "toys")

        request.run(make)
        stage.between(request)
        found = request.read(lambda tx: tx.scalars(select(Toy).where(Toy.id == toy.id)).one().name)
        request.service.authenticate.forget()
        request.afterwards(lambda: stage.effect(request))
        stage.after(request)
        return Answer({"toy": {"id": toy.id, "name": found, "seen": seen}}, headers={"Location": f"/toys/{toy.id}"})

    @operation("POST", "/secrets", action="toy:create", status=201, body=shape, secret=True)
    def secret(request):
        return create(request)

    @operation("POST", "/open", action=None, status=201, body=shape, token=False)
    def opened(request):
        request.run(lambda tx: tx.add(Toy(name="open", project_id=PROJECT)))

    @operation("POST", "/look", action="toy:create")
    def look(request):
        stage.calls += 1
        return {"toys": request.read(lambda tx: tx.scalar(select(func.count()).select_from(Toy)))}

    @operation("POST", "/none", action="toy:create", status=204)
    def none(request):
        request.run(lambda tx: tx.add(Toy(name="none", project_id=PROJECT)))

    for fn in (create, secret, opened, look, none):
        fn.__module__ = "toys"
        setattr(module, fn.__name__, fn)
    return module


@pytest.fixture
def stage():
    return Stage()


def served(db, stage, dialect=NOVA, tokens=None):
    engine = create_engine(db.engine.url)
    Base.metadata.create_all(engine, tables=[Toy.__table__])
    engine.dispose()
    stage.service = Service("volume", dialect, [toys(stage)], [rule("toy:create", ANYONE, "")])
    return client(stage.service, db, tokens)


@pytest.fixture
def api(db, stage):
    return served(db, stage)


def send(api, key="k1", body=BODY, path="/toys", ok=201):
    return api("POST", path, body, ok=ok, headers={"Idempotency-Key": key} if key is not None else {})


def left(db):
    """Toys, audit rows and kept answers."""
    return db.run(lambda tx: tuple(tx.scalar(select(func.count()).select_from(model)) for model in (Toy, Audit, IdempotencyKey)))


@contextmanager
def later(db, offset):
    """The SQL clock moved on."""

    def shift(connection):
        connection.exec_driver_sql(f"SET LOCAL wolke.clock_offset = '{int(offset.total_seconds())} seconds'")

    event.listen(db.engine, "begin", shift)
    try:
        yield
    finally:
        event.remove(db.engine, "begin", shift)


def test_the_same_again_is_answered_again(api, db, stage):
    first = send(api)
    again = send(api)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status, again.content) == (first.status, first.content)
    for name in ("location", "content-type", "x-openstack-request-id"):
        assert again.headers[name] == first.headers[name]
    assert first.json["toy"]["name"] == "bear"
    assert left(db) == (1, 1, 1)
    assert stage.calls == 1


def test_an_answer_without_a_body_is_answered_again(api, db):
    send(api, path="/none", body=None, ok=204)
    again = send(api, path="/none", body=None, ok=204)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.content, "content-type" in again.headers) == (b"", False)
    assert left(db)[0] == 1


def test_the_order_of_names_makes_no_other_body(api, db):
    send(api, body={"toy": {"name": "a", "x": 1, "y": [1, 2]}})
    send(api, body={"toy": {"y": [1, 2], "x": 1, "name": "a"}})
    assert left(db)[0] == 1


@pytest.mark.parametrize(("dialect", "told"), [(NOVA, "unprocessableEntity"), (CINDER, "unprocessableEntity"), (NEUTRON, "NeutronError"), (KEYSTONE, "error")])  # fmt: skip
def test_another_body_is_422(db, stage, dialect, told):
    api = served(db, stage, dialect)
    send(api)
    assert "another request" in send(api, body={"toy": {"name": "doll"}}, ok=422).json[told]["message"]
    send(api, path="/toys?all=1", ok=422)
    assert left(db) == (1, 1, 1)


def test_another_user_project_route_or_key_is_another_request(api, db):
    send(api)
    send(api.as_("admin"))
    send(api.as_(f"member@{OTHER_PROJECT}"))
    send(api, path="/dolls")
    send(api, key="k2")
    assert left(db) == (5, 5, 5)


@pytest.mark.parametrize("kind", ["trust", "application_credential", "access_token"])
def test_what_stands_on_a_delegation_is_another_request(db, stage, kind):
    tokens = Tokens()
    for name in ("one", "two"):
        tokens.add(name, actor(delegation=Delegated(kind, name)))
    api = served(db, stage, tokens=tokens)
    for token in ("member", "one", "two"):
        assert "idempotent-replayed" not in send(api.as_(token)).headers
        assert send(api.as_(token)).headers["idempotent-replayed"] == "true"
    assert left(db) == (3, 3, 3)


def test_quotes_are_not_the_key_s(api, db):
    send(api, key='"k1"')
    send(api, key="k1")
    assert left(db)[0] == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb", "schlüssel", "a\x7f"])
def test_what_is_no_key_is_400(api, db, key):
    assert "Idempotency-Key" in send(api, key=key, ok=400).text
    assert left(db) == (0, 0, 0)


def test_the_longest_key_is_one(api):
    send(api, key="x" * 255)
    assert send(api, key="x" * 255).headers["idempotent-replayed"]


@pytest.mark.parametrize("path", ["/secrets", "/open"])
def test_a_secret_and_an_answer_to_nobody_are_not_kept(api, db, path):
    for _ in range(2):
        assert "idempotent-replayed" not in send(api, path=path).headers
    assert left(db) == (2, 2, 0)


def test_what_changes_nothing_is_asked_anew(api, db, stage):
    for _ in range(2):
        send(api, path="/look", body=None, ok=200)
    assert (stage.calls, left(db)) == (2, (0, 0, 0))


def test_without_the_header_there_is_no_statement_more(api, db, stage):
    with counted(db) as sent:
        send(api, key=None)
    assert len(sent) == 4
    assert not [statement for statement in sent if "idempotency" in statement or "advisory" in statement]


def test_nothing_can_be_read_of_body_answer_or_key(api, db):
    send(api, key="7f1f3c9e-key-of-the-client", body={"toy": {"name": "secretname"}})
    row = db.run(lambda tx: tx.scalars(select(IdempotencyKey)).one())
    kept = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in vars(row).values())
    for word in (b"secretname", b"7f1f3c9e", b"toys/"):
        assert word not in kept


@pytest.mark.parametrize("point", ["before", "between", "after"])
@pytest.mark.parametrize("fault", [RuntimeError("the process died"), Conflict("no"), NotFound("no")])
def test_what_fails_before_the_commit_leaves_nothing_and_frees_the_key(api, db, stage, point, fault):
    def fail(_request):
        raise fault

    setattr(stage, point, fail)
    send(api, ok=getattr(fault, "status", 500))
    assert left(db) == (0, 0, 0)
    setattr(stage, point, lambda request: None)
    assert "idempotent-replayed" not in send(api).headers
    assert left(db) == (1, 1, 1)


KEPT = "INSERT INTO common.idempotency_key"


def killed(db, at):
    """A process of its own asks, and is killed by SIGKILL before the statement that begins with `at`, at the COMMIT, or behind it."""
    pid = os.fork()
    if pid == 0:
        try:
            mine, sent = Database(db.engine.url.render_as_string(hide_password=False)), []
            api = served(mine, Stage())

            def look(*given):
                sent.append(given[2])
                if given[2].startswith(at):
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(mine.engine, "before_cursor_execute", look)
            event.listen(mine.engine, "commit", lambda _: at == "COMMIT" and sent[-1].startswith(KEPT) and look(None, None, at))
            mine.on_commit = lambda _: look(None, None, "behind")
            send(api)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def sent_until_heard(api):
    """PostgreSQL may learn a moment later that a process is gone; until then its key is held."""
    for _ in range(200):
        answer = send(api, ok=None)
        if answer.status_code != 409:
            return answer
        threading.Event().wait(0.05)
    raise AssertionError("the key of a dead process is held")


@pytest.mark.parametrize(
    "at", ["SELECT count(*)", "INSERT INTO common.toy", "SELECT common.toy", "INSERT INTO common.audit", KEPT, "COMMIT"]
)
def test_a_process_that_is_killed_before_the_commit_leaves_nothing(api, db, at):
    killed(db, at)
    assert left(db) == (0, 0, 0)
    answer = sent_until_heard(api)
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers
    assert left(db) == (1, 1, 1)


def test_a_process_that_is_killed_behind_the_commit_leaves_all(api, db):
    killed(db, "behind")
    assert left(db) == (1, 1, 1)
    answer = sent_until_heard(api)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (201, "true")
    assert left(db) == (1, 1, 1)


def test_a_backend_that_is_really_killed_leaves_nothing(api, db, stage):
    """PostgreSQL ends the connection with the change unwritten; the handler is called again on another one, once."""

    def kill(request):
        if stage.calls == 1:
            pid = request.read(lambda tx: tx.scalar(text("SELECT pg_backend_pid()")))
            db.run(lambda tx: tx.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}))

    stage.between = kill
    send(api)
    assert stage.calls == 2
    assert left(db) == (1, 1, 1)


@pytest.mark.parametrize("written", [True, False])
def test_a_lost_commit_is_looked_up_by_the_audit_row(api, db, stage, monkeypatch, written):
    """The connection dies at COMMIT: before PostgreSQL wrote it, or after."""
    real, lost = db.engine.dialect.do_commit, []

    def commit(connection):
        if lost or not stage.calls:
            return real(connection)
        lost.append(1)
        if written:
            real(connection)
        connection.close()
        raise OperationalError("COMMIT", {}, ConnectionError("gone"), connection_invalidated=True)

    monkeypatch.setattr(db.engine.dialect, "do_commit", commit)
    first = send(api)
    assert lost
    assert stage.calls == (1 if written else 2)
    assert left(db) == (1, 1, 1)
    assert send(api).json == first.json


def test_a_deadlock_calls_the_whole_handler_again_with_the_body_as_it_came(api, db, stage):
    def deadlock(request):
        if stage.calls == 1:
            request.read(lambda tx: tx.execute(text("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$")))

    stage.between = deadlock
    assert send(api).json["toy"]["name"] == "bear"
    assert stage.calls == 2
    assert left(db) == (1, 1, 1)


def test_a_handler_cannot_make_good_of_a_change_that_failed(api, db, stage):
    def refuse(tx):
        tx.add(Toy(name="half", project_id=PROJECT))
        raise Conflict("refused")

    def ignore(request):
        with pytest.raises(Conflict):
            request.run(refuse)

    stage.before = ignore
    send(api, ok=409)
    assert left(db) == (0, 0, 0)


def test_no_connection_is_held_before_the_first_read(api, db, stage):
    held = []
    stage.before = lambda request: held.append(db.engine.pool.checkedout())
    stage.between = lambda request: held.append(db.engine.pool.checkedout())
    send(api)
    assert held == [0, 1]


def test_two_at_once_make_one(api, db, stage):
    """The second is told that the first is still running; the third gets its answer."""
    entered, go, answers = threading.Event(), threading.Event(), []

    def wait(_request):
        entered.set()
        assert go.wait(20)

    stage.between = wait
    thread = threading.Thread(target=lambda: answers.append(send(api, ok=None)))
    thread.start()
    assert entered.wait(20)
    busy = send(api, ok=409)
    assert busy.headers["retry-after"] == "1"
    go.set()
    thread.join(20)
    assert answers[0].status_code == 201
    assert send(api).json == answers[0].json
    assert left(db)[0] == 1


def test_the_first_may_end_while_the_second_prepares(api, db, stage):
    """It was not there at the first look, and is at the second: the second's work before it is for nothing, and does no harm."""
    first = []

    def overtake(_request):
        stage.before = lambda request: None
        other = threading.Thread(target=lambda: first.append(send(api)))
        other.start()
        other.join(20)

    stage.before = overtake
    second = send(api)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json == first[0].json
    assert (stage.calls, left(db)) == (2, (1, 1, 1))


def test_many_at_once_make_one(api, db):
    barrier, answers = threading.Barrier(6), []

    def ask():
        barrier.wait(20)
        answers.append(send(api, ok=None))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert left(db) == (1, 1, 1)


def test_wakes_and_forgetting_come_after_the_commit(db, stage):
    """What is remembered of tokens while the transaction is open must go with it."""
    api, seen = served(db, stage), []
    db.on_commit = lambda topics: seen.append((topics, left(db)[0]))

    class Noting(Authenticator):
        def forget(self):
            super().forget()
            seen.append(("forget", left(db)[0], bool(self._known)))

    stage.after = lambda request: seen.append(("after", left(db)[0]))
    stage.effect = lambda request: seen.append(("effect", left(db)[0]))
    stage.service.connect(db, Noting(Tokens(), seconds=0.5))
    send(api)
    assert seen == [("forget", 0, True), ("after", 0), ({"toys"}, 1), ("forget", 1, False), ("effect", 1)]
    seen.clear()
    send(api, key=None)
    assert seen == [({"toys"}, 2), ("forget", 2, False), ("effect", 2), ("after", 2)]


def test_after_24_hours_it_is_another_request(api, db):
    first = send(api)
    with later(db, OLD - timedelta(seconds=10)):
        assert send(api).json == first.json
    with later(db, OLD):
        assert send(api).json != first.json
        assert send(api).headers["idempotent-replayed"] == "true"
        send(api, body={"toy": {"name": "doll"}}, ok=422)
    assert left(db) == (2, 2, 1)


def test_keys_that_are_over_do_not_grow(api, db, monkeypatch):
    monkeypatch.setattr(idempotency, "SWEEP_ROWS", 3)
    for n in range(7):
        send(api, key=f"old{n}")
    db.run(lambda tx: tx.execute(update(IdempotencyKey).values(created_at=clock() - OLD)))
    send(api, key="new")
    assert db.run(forget) == 3
    sweep(db.run)
    assert left(db)[2] == 1
    assert send(api, key="new").headers["idempotent-replayed"] == "true"


def test_the_sweep_looks_at_an_index(db):
    statement = (
        "EXPLAIN SELECT id FROM common.idempotency_key WHERE created_at <= common.now() - interval '1 day' ORDER BY created_at LIMIT 9"
    )
    with db.transaction() as tx:
        tx.execute(text("SET LOCAL enable_seqscan = off"))
        assert "ix_idempotency_key_created_at" in "".join(tx.execute(text(statement)).scalars())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_worker_sweeps(db, monkeypatch):
    monkeypatch.setattr("common.cmd.worker.SERVICES", ())
    from common.cmd.worker import collect

    assert "idempotency-keys" in [name for name, _, _ in collect(db, None).sweeps]


SECRETS = {"secret", "private_key", "oauth_token_secret", "oauth_token", "passcode", "auth_key", "password", "access_token"}


def test_no_answer_with_a_secret_is_kept():
    """Of what is declared: an operation whose answer has such an attribute says so."""

    def names(shape):
        if isinstance(shape, dict):
            yield from shape.get("properties", ())
            for inner in shape.values():
                yield from names(inner)
        elif isinstance(shape, list):
            for inner in shape:
                yield from names(inner)

    services = [room(name, "api").SERVICE for name in SERVICES]
    heard = [(item, set(names(item.answer))) for service in services for item in service.operations if item.idempotent]
    assert len(heard) > 30
    assert [f"{item.path}: {found & SECRETS}" for item, found in heard if found & SECRETS] == []


def test_one_server_not_two(db):
    cloud = world(db)
    body = cloud.body()
    headers = {"Idempotency-Key": "one-server"}
    first = cloud.api("POST", "/v2.1/servers", body, ok=202, headers=headers)
    again = cloud.api("POST", "/v2.1/servers", body, ok=202, headers=headers)
    assert again.json == first.json
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["x-compute-request-id"] == first.headers["x-compute-request-id"]
    assert len(cloud.api.get("/v2.1/servers")["servers"]) == 1


def test_a_project_by_identity(cloud, db):
    for _ in range(2):
        made = cloud.admin("POST", "/v3/projects", {"project": {"name": "once"}}, ok=201, headers={"Idempotency-Key": "p"})
    assert made.headers["idempotent-replayed"] == "true"
    cloud.admin("POST", "/v3/projects", {"project": {"name": "once"}}, ok=409, headers={"Idempotency-Key": "q"})


def test_who_lost_the_role_is_not_answered_again(cloud):
    ann, user, project = cloud.member("ann", "admin")
    sent = {"project": {"name": "once"}}
    ann("POST", "/v3/projects", sent, ok=201, headers={"Idempotency-Key": "p"})
    cloud.grant("member", user=user["id"], project=project["id"])
    cloud.admin.delete(f"/v3/projects/{project['id']}/users/{user['id']}/roles/{cloud.role('admin')}")
    ann("POST", "/v3/projects", sent, ok=403, headers={"Idempotency-Key": "p"})
