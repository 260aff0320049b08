"""The api kit, on a toy service: refusals, microversions, bodies, queries, paging."""

from __future__ import annotations

import types

import pytest
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import Mapped, mapped_column

from common.api import shapes
from common.api.dialect import CINDER, KEYSTONE, NEUTRON, NOVA
from common.api.microversions import Microversions
from common.api.operation import Answer, operation
from common.api.paging import Page, next_link
from common.api.policy import ADMIN, MEMBER, READER, rule
from common.api.service import Service
from common.config import CONF
from common.db import Base, Identified
from common.errors import BadRequest, Conflict, OverQuota
from tests.support.api import client, counted


class Toy(Identified, Base):
    __tablename__ = "toy"
    __table_args__ = ({"schema": "common"},)
    name: Mapped[str | None]
    project_id: Mapped[str] = mapped_column(String(64))


KEYS = {"created_at": Toy.created_at, "name": Toy.name}
RULES = [rule("toy:list", READER, ""), rule("toy:create", MEMBER, ""), rule("toy:admin", ADMIN, "")]


def toys() -> types.ModuleType:
    module = types.ModuleType("toys")

    @operation("GET", "/toys", action="toy:list", query={"limit": shapes.TEXT})
    def list_toys(request):
        page = Page.asked(request, KEYS)
        statement = select(Toy).where(Toy.project_id == request.actor.project)
        rows, more = page.cut(request.read(lambda tx: page.rows(tx, statement, KEYS, Toy.id)))
        return {"toys": [{"id": t.id, "name": t.name} for t in rows], **next_link(request, "toys", rows, more)}

    @operation(
        "POST", "/toys", action="toy:create", status=201, body=shapes.wrapped("toy", shapes.obj({"name": shapes.NAME}, required=("name",)))
    )
    def create_toy(request):
        toy = Toy(name=request.body["toy"]["name"], project_id=request.actor.project)
        request.run(lambda tx: tx.add(toy))
        return {"toy": {"id": toy.id}}

    @operation("POST", "/toys/{toy_id}/action", action="toy:admin", body_key="break", status=202)
    def break_toy(request):
        raise Conflict("Toy is broken already.")

    @operation("POST", "/toys/{toy_id}/action", action="toy:create", body_key="buy", status=202)
    def buy_toy(request):
        raise OverQuota("Quota exceeded for toys.")

    @operation("GET", "/new", action=None, minimum=(2, 5))
    def new(request):
        return Answer({"version": list(request.version)})

    @operation("GET", "/bug", action=None)
    def bug(request):
        raise ValueError("secret detail")

    @operation("POST", "/twins", action=None, status=201)
    def twin(request):
        request.run(lambda tx: tx.add(Toy(id=request.body["toy"]["id"], name="twin", project_id="1")))

    @operation("GET", "/source", action=None)
    def source(request):
        return {"source": request.source}

    for fn in (list_toys, create_toy, break_toy, buy_toy, new, bug, source, twin):
        fn.__module__ = "toys"
        setattr(module, fn.__name__, fn)
    return module


def service(dialect=NOVA) -> Service:
    return Service(
        "compute",
        dialect,
        [toys()],
        RULES,
        versions={"": lambda base: (300, {"versions": [base]}), "/v2": lambda base: (200, {"version": base})},
        microversions=Microversions("compute", (2, 1), (2, 9), "X-OpenStack-Nova-API-Version"),
    )


@pytest.fixture
def api(db):
    engine = create_engine(db.engine.url)
    Base.metadata.create_all(engine, tables=[Toy.__table__])
    engine.dispose()
    return client(service(), db)


def test_no_token_is_401_with_a_challenge(api):
    answer = api.as_(None)("GET", "/toys", ok=401)
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    assert answer.json == {"unauthorized": {"code": 401, "message": "The request you have made requires authentication."}}


def test_wrong_token_is_401(api):
    api.as_("nobody")("GET", "/toys", ok=401)


@pytest.mark.parametrize("path", ["/", "", "/v2", "/v2/"])
def test_version_documents_need_no_token(api, path):
    assert api.as_(None)("GET", path or "/").status_code in (200, 300)


def test_policy_refuses_before_the_handler(api):
    assert "toy:create" in api.as_("reader").post("/toys", {"toy": {"name": "x"}}, ok=403)["forbidden"]["message"]


def test_body_names_field_and_value(api):
    message = api.post("/toys", {"toy": {"name": 7}}, ok=400)["badRequest"]["message"]
    assert "toy.name" in message
    assert "7" in message
    api.post("/toys", {"toy": {"name": "x", "color": "red"}}, ok=400)
    api.post("/toys", None, ok=400)
    api.post("/toys", {"toy": {"name": "a\u0000b"}}, ok=400)


@pytest.mark.parametrize("raw", [b"{", b"[" * 100000, b"\xff\xfe", b'{"toy": NaN}', b"[]", b'"x"'])
def test_malformed_json_is_400(api, raw):
    api("POST", "/toys", raw=raw, ok=400)


@pytest.mark.parametrize("depth", [63, 940, 945, 950])
def test_a_body_nested_too_deep_is_400_whoever_would_have_walked_it(api, depth):
    raw = b'{"toy": {"name": ' + b"[" * depth + b"]" * depth + b"}}"
    assert "nested" in api("POST", "/toys", raw=raw, ok=400).text


def test_a_body_too_large_is_413(api):
    api("POST", "/toys", raw=b" " * (1 << 21), ok=413)


def test_one_action_of_several_is_picked_by_its_key(api):
    api.post("/toys/1/action", {"break": None}, ok=403)
    assert api.as_("admin").post("/toys/1/action", {"break": None}, ok=409)["conflictingRequest"]["code"] == 409
    assert api.post("/toys/1/action", {"fly": None}, ok=400)["badRequest"]["message"] == "There is no such action: fly"
    api.post("/toys/1/action", {"break": 1, "buy": 2}, ok=400)


@pytest.mark.parametrize(("dialect", "status"), [(NOVA, 403), (CINDER, 413), (NEUTRON, 409), (KEYSTONE, 403)])
def test_each_api_says_no_in_its_own_way(db, dialect, status):
    answer = client(service(dialect), db).post("/toys/1/action", {"buy": None}, ok=status)
    assert "Quota exceeded" in str(answer)


def test_microversions(api):
    api.get("/new", ok=404)
    newest = api("GET", "/new", headers={"OpenStack-API-Version": "compute latest"}, ok=200)
    assert newest.json == {"version": [2, 9]}
    assert newest.headers["openstack-api-version"] == "compute 2.9"
    assert newest.headers["x-openstack-nova-api-version"] == "2.9"
    assert {part.strip() for part in newest.headers["vary"].split(",")} >= {"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"}
    api("GET", "/new", headers={"X-OpenStack-Nova-API-Version": "2.5"}, ok=200)
    api("GET", "/new", headers={"OpenStack-API-Version": "compute 2.10"}, ok=406)
    api("GET", "/new", headers={"OpenStack-API-Version": "compute 2.01.x"}, ok=400)
    api("GET", "/new", headers={"OpenStack-API-Version": "volume 3.1"}, ok=404)


@pytest.mark.parametrize("asked", ["2." + "9" * 5000, "9" * 5000 + ".1", "2.٣", "2.01"])
def test_a_microversion_that_is_no_number_of_ours_is_400(asked):
    for name in ("OpenStack-API-Version", "X-OpenStack-Nova-API-Version"):
        headers = {name: asked if name.startswith("X-") else f"compute {asked}"}
        with pytest.raises(BadRequest):
            service().microversions.negotiate(headers.get)


def test_a_fault_of_ours_tells_nothing(api):
    answer = api("GET", "/bug", ok=500)
    assert "secret" not in answer.text


def test_unknown_path_and_method(api):
    api("GET", "/nothing", ok=404)
    api("DELETE", "/toys", ok=405)


@pytest.mark.parametrize("path", ["/toys", "/toys/1/action", "/v2", "/healthcheck", "/nothing"])
@pytest.mark.parametrize("token", ["member", None])
def test_options_is_refused_like_any_method_that_is_not_there(api, path, token):
    answer = api.as_(token)("OPTIONS", path, ok=404 if path == "/nothing" else 405)
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    if path == "/toys":
        assert answer.headers["allow"] == "GET, HEAD, POST"
        assert answer.json["badMethod"]["code"] == 405


@pytest.fixture
def behind_a_proxy():
    CONF.set_override("enable_proxy_headers_parsing", True, "api")
    yield
    CONF.clear_override("enable_proxy_headers_parsing", "api")


PROXIED = [
    ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example:8774"}, "https://cloud.example:8774"),
    (
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example, inner", "X-Forwarded-Prefix": "/compute/"},
        "https://cloud.example/compute",
    ),
    (
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example:8774", "Forwarded": "for=10.0.0.9;proto=http;host=evil.example"},
        "https://cloud.example:8774",
    ),
    ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "[fd00::1]:8774"}, "https://[fd00::1]:8774"),
]


@pytest.mark.parametrize(("headers", "base"), PROXIED)
def test_behind_a_proxy_links_are_its_own(api, db, behind_a_proxy, headers, base):
    fill(db, 2)
    assert api.get("/v2", headers=headers)["version"] == base
    assert api.get("/toys?limit=1", headers=headers)["toys_links"][0]["href"].startswith(base + "/toys?")
    challenge = api.as_(None)("GET", "/toys", headers=headers, ok=401).headers["www-authenticate"]
    host = base.removeprefix("https://").removesuffix("/compute").removesuffix(":8774")
    assert challenge == f'Keystone uri="https://{host}:5000"'


@pytest.mark.parametrize("headers", [headers for headers, _ in PROXIED])
def test_without_a_proxy_nobody_s_word_counts(api, headers):
    assert api.get("/v2", headers=headers)["version"] == "http://falconframework.org"
    challenge = api.as_(None)("GET", "/toys", headers=headers, ok=401).headers["www-authenticate"]
    assert challenge == 'Keystone uri="http://falconframework.org:5000"'


def test_behind_a_proxy_the_source_is_whom_the_proxy_saw(api, behind_a_proxy):
    assert api.get("/source", headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7"}) == {"source": "192.0.2.7"}
    assert api.get("/source") == {"source": "127.0.0.1"}
    for forged in ("for=1.1.1.1", 'for="1.1.1.1:x"'):
        assert api.get("/source", headers={"X-Forwarded-For": "192.0.2.7", "Forwarded": forged}) == {"source": "192.0.2.7"}
        assert api.get("/source", headers={"Forwarded": forged}) == {"source": "127.0.0.1"}
    assert api.get("/source", headers={"X-Forwarded-For": "6.6.6.6, 127.0.0.1"}) == {"source": "127.0.0.1"}


def test_without_a_proxy_the_source_is_the_socket_s(api):
    assert api.get("/source", headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7"}) == {"source": "127.0.0.1"}


def test_healthcheck_and_metrics(api):
    assert api.as_(None)("GET", "/healthcheck", ok=200).text == "OK"
    assert "wolke_request_seconds" in api.as_(None)("GET", "/metrics", ok=200).text


def fill(db, count):
    with db.transaction() as tx:
        tx.add_all([Toy(name=None if n % 4 == 0 else f"n{n % 3}", project_id="1" * 32) for n in range(count)])


@pytest.mark.parametrize(("query", "order"), [
    ("sort_key=name", "cba"), ("sort=name", "cba"), ("sort_key=name&sort_dir=asc", "abc"), ("sort_dir=asc", "bac"), ("", "cab"),
])  # fmt: skip
def test_a_direction_that_is_missing_is_the_list_s_own(api, query, order):
    for name in "bac":
        api.post("/toys", {"toy": {"name": name}}, ok=201)
    assert "".join(toy["name"] for toy in api.get(f"/toys?{query}")["toys"]) == order


@pytest.mark.parametrize("sort", ["", "&sort_key=name", "&sort_key=name&sort_dir=desc", "&sort=name:asc,created_at:desc"])
def test_pages_are_whole_and_disjoint(api, db, sort):
    fill(db, 23)
    whole = [toy["id"] for toy in api.get(f"/toys?limit=100{sort}")["toys"]]
    path, seen = f"/toys?limit=5{sort}", []
    while path:
        body = api.get(path)
        seen += [toy["id"] for toy in body["toys"]]
        path = body["toys_links"][0]["href"].split("falconframework.org", 1)[1] if "toys_links" in body else None
    assert seen == whole
    assert len(set(seen)) == 23


def test_a_page_is_one_query_whatever_its_rows(api, db):
    counts = []
    for total in (2, 50):
        fill(db, total)
        with counted(db) as sent:
            api.get("/toys")
        counts.append(len(sent))
    assert counts == [1, 1]


@pytest.mark.parametrize(
    "query", ["limit=x", "limit=-1", "limit=--5", "marker=nope", "sort_key=colour", "sort_key=name&sort_dir=up", "name=%00"]
)
def test_a_bad_page_is_400(api, query):
    api.get(f"/toys?{query}", ok=400)


def test_audit_row_is_written_with_the_change(api, db):
    from common.models import Audit

    api.post("/toys", {"toy": {"name": "x"}}, ok=201)
    with db.transaction() as tx:
        row = tx.execute(select(Audit)).scalar_one()
    assert (row.action, row.project_id) == ("toy:create", "1" * 32)


def test_bound_values_are_not_told_in_errors(db):
    from sqlalchemy import text
    from sqlalchemy.exc import ProgrammingError

    with pytest.raises(ProgrammingError) as refused:
        db.run(lambda tx: tx.execute(text("SELECT :n FROM nowhere"), {"n": "hash-of-somebody"}))
    assert "hash-of-somebody" not in str(refused.value)


def test_what_the_database_cannot_hold_is_400_and_its_absence_503():
    from sqlalchemy.exc import DataError, IntegrityError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    from common.api.refusal import refusal_of

    assert refusal_of(DataError("", {}, ValueError())).status == 400
    assert refusal_of(OperationalError("", {}, ValueError())).status == 503
    assert refusal_of(PoolTimeout()).status == 503
    for state, status in (("23505", 409), ("23503", 409), ("23514", 400), ("23502", 400), ("XX000", 500)):
        cause = ValueError()
        cause.sqlstate = state
        assert refusal_of(IntegrityError("", {}, cause)).status == status


def test_a_constraint_that_nobody_asked_about_is_no_fault_of_ours(api):
    first = api.post("/toys", {"toy": {"name": "x"}}, ok=201)["toy"]["id"]
    assert "came first" in api.post("/twins", {"toy": {"id": first}}, ok=409)["conflictingRequest"]["message"]
