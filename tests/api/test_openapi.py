"""The API documents: valid, true, as the golden files under docs/api say, and served.

`WOLKE_GOLDEN=write` writes them anew; the diff is the change of the contract.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import types
from collections import defaultdict
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from common.api import check, shapes
from common.api.dialect import KEYSTONE
from common.api.openapi import document, rendered
from common.api.operation import FORM, JSON, Answer, operation
from common.api.portable import Schemas
from common.api.service import Service
from common.api.shapes import Checker
from common.cmd import SERVICES, room
from common.errors import BadRequest
from tests.support.api import client, counted
from tests.support.api_pages import page

DOCS = Path(__file__).parents[2] / "docs" / "api"
WRITE = "WOLKE_GOLDEN=write pytest tests/api/test_openapi.py"


@pytest.fixture(params=SERVICES)
def service(request):
    return room(request.param, "api").SERVICE


def pretty(made):
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def golden(name, text):
    """Fail with a diff and the command unless the golden file says `text`."""
    path = DOCS / name
    if os.environ.get("WOLKE_GOLDEN") == "write":
        DOCS.mkdir(exist_ok=True)
        path.write_text(text)
    kept = path.read_text() if path.exists() else ""
    if kept != text:
        diff = "\n".join(list(difflib.unified_diff(kept.splitlines(), text.splitlines(), "as kept", "as declared", lineterm="", n=1))[:40])
        pytest.fail(f"docs/api/{name} is not what the operations declare. Read the diff, then run: {WRITE}\n{diff}", pytrace=False)


def test_it_is_as_kept(service):
    golden(f"{service.name}.openapi.json", pretty(document(service)))


def test_its_page_is_as_kept(service):
    golden(f"{service.name}.md", page(document(service)))


def test_it_is_openapi(service):
    made = json.loads(rendered(service))
    assert made["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(made).iter_errors()] == []


def test_it_has_every_operation(service):
    made = document(service)
    for item in service.operations:
        found = made["paths"][item.path][item.method.lower()]
        assert found["summary"]
        assert str(item.status) in found["responses"]
        if item.action:
            assert item.action in json.dumps(found)
        assert re.fullmatch(r".+[.:]", found["summary"].strip()), found["summary"]
    ids = [found["operationId"] for methods in made["paths"].values() for found in methods.values()]
    assert len(ids) == len(set(ids))
    assert not re.search(r'"x-integer"|"x-boolean"|"x-named"|\(\?a?i', json.dumps(made))


def test_what_two_paths_do_is_not_told_by_one_sentence():
    """Where one handler serves several, each says what it does itself; GET and HEAD of one path are one thing."""
    told = defaultdict(set)
    for path, methods in document(room("identity", "api").SERVICE)["paths"].items():
        for found in methods.values():
            told[found["summary"]].add(path)
    assert {sentence: paths for sentence, paths in told.items() if len(paths) > 1} == {}


def test_it_is_served_to_everybody_rendered_once(service, db):
    ask = client(service, db).as_(None)
    with counted(db) as sent:
        first = ask("GET", service.document, ok=200)
    assert not sent
    assert first.headers["content-type"] == "application/json"
    assert first.json == json.loads(pretty(document(service)))
    assert ask("GET", service.document, ok=200).content == first.content
    assert ask("HEAD", service.document, ok=200).content == b""
    ask("POST", service.document, ok=405)


# What answers no JSON, or only ever refuses.
BODILESS = {
    "PUT /v3/projects/{project_id}/tags/{tag}", "GET /v3/OS-SIMPLE-CERT/ca", "GET /v3/OS-SIMPLE-CERT/certificates", "GET /v3/auth/tokens/OS-PKI/revoked",
    "GET /v3/OS-FEDERATION/saml2/metadata",
    "POST /v3/auth/OS-FEDERATION/saml2", "POST /v3/auth/OS-FEDERATION/saml2/ecp",
    *(f"{method} /v3/auth/OS-FEDERATION/{path}" for method in ("GET", "POST")
      for path in ("websso/{protocol_id}", "identity_providers/{idp_id}/protocols/{protocol_id}/websso")),
    "GET /v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso/callback",
}  # fmt: skip


def test_every_answer_has_a_shape_and_what_is_silent_none(service):
    lacking = [o for o in service.operations if o.answer is None and o.gives == JSON and not silent(o)]
    assert {f"{o.method} {o.path}" for o in lacking} - BODILESS == set()
    assert [f"{o.method} {o.path}" for o in service.operations if o.answer is not None and silent(o)] == []


def silent(item):
    """Whether it answers nothing, as its status or its handler's type says."""
    return item.status == 204 or item.handler.__annotations__["return"] in ("None", None)


def plain(shape):
    return Draft202012Validator(Schemas().standard(shape))


@pytest.mark.parametrize(("shape", "good", "bad"), [
    ({"type": "string", "pattern": "a|b"}, ["a", "b"], ["ab", "xa", ""]),
    ({"type": "string", "pattern": "^a+"}, ["a", "aa"], ["ab", "ba"]),
    (shapes.LOOSE_BOOLEAN, [True, "true", "TRUE", "Yes", "n", 0], ["maybe", "xtrue", 2]),
    (shapes.NAME, ["x", " x"], ["", " ", 1]),
    (shapes.integer(0), [0, 7, "7"], [-1, "x", 1.5]),
    (shapes.METADATA, [{"a": "b"}, {}], [{"a": 1}]),
])  # fmt: skip
def test_the_standard_understands_our_shapes(shape, good, bad):
    for value in good:
        Checker(shape)(value)
        assert plain(shape).is_valid(value), value
    for value in bad:
        with pytest.raises(BadRequest):
            Checker(shape)(value)
        assert not plain(shape).is_valid(value), value


def test_parameters_are_what_their_text_says():
    assert Schemas().standard({"type": "string", "x-integer": {"minimum": 0}}) == {"type": "integer", "minimum": 0}
    assert Schemas().standard({"type": "string", "x-boolean": True}) == {"type": "boolean"}


def test_a_resource_is_kept_once():
    toy = shapes.obj({"id": shapes.ID})
    schemas = Schemas({"Toy": toy})
    assert schemas.standard(shapes.array(toy))["items"] == {"$ref": "#/components/schemas/Toy"}
    assert schemas.standard(shapes.wrapped("toy", toy))["properties"]["toy"] == {"$ref": "#/components/schemas/Toy"}
    assert schemas.standard(shapes.obj({}))["properties"] == {}
    assert list(schemas.named) == ["Toy"]


def toys():
    module = types.ModuleType("toys")

    @operation("POST", "/act", action="toy:eat", body_key="eat", body=shapes.wrapped("eat", shapes.BOOLEAN), status=202)
    def eat(request):
        """Eat it."""

    @operation("POST", "/act", action="toy:throw", body_key="throw", answer=shapes.obj({"far": shapes.BOOLEAN}), secret=True)
    def throw(request):
        """Throw it."""

    @operation("GET", "/silent", action=None)
    def silent(request):
        """Say nothing of what is answered."""
        return {"x": 1}

    @operation("GET", "/deaf", action=None, status=204, query={"a": shapes.TEXT})
    def deaf(request):
        """Hear what is not declared."""
        request.query.one("a")
        request.query.all("b")

    @operation("GET", "/other", action=None, answer=shapes.obj({}), statuses=(206,))
    def other(request):
        """Answer with one of several statuses."""
        return Answer({}, status=int(request.header("X-Status")))

    @operation("GET", "/form", action=None, gives=FORM, answer=shapes.obj({"key": shapes.TEXT, "at": shapes.TEXT}, required=("key",)))
    def form(request):
        """Answer as a form, or as what was asked for."""
        media = request.header("X-Media")
        return (
            Answer({"key": "k"})
            if media == JSON
            else Answer(stream=iter([request.header("X-Form").encode()]), headers={"Content-Type": media})
        )

    @operation("GET", "/no-form", action=None, answer=shapes.obj({}))
    def no_form(request):
        """Answer as a form, though it says JSON."""
        return Answer(stream=iter([b"key=k"]), headers={"Content-Type": FORM})

    @operation("GET", "/shapeless", action=None, gives=FORM)
    def shapeless(request):
        """Say nothing of the form."""
        return Answer(stream=iter([b"key=k"]), headers={"Content-Type": FORM})

    for fn in (eat, throw, silent, deaf, other, form, no_form, shapeless):
        fn.__module__ = "toys"
        setattr(module, fn.__name__, fn)
    return Service("toys", KEYSTONE, [module], [], document="/v9/openapi.json", documented=True)


def test_what_is_no_json_says_what_it_is():
    paths, form = document(room("identity", "api").SERVICE)["paths"], "application/x-www-form-urlencoded"
    oauth2, oauth1 = paths["/v3/OS-OAUTH2/token"]["post"], paths["/v3/OS-OAUTH1/access_token"]["post"]
    assert oauth2["requestBody"]["content"][form]["schema"]["required"] == ["grant_type"]
    assert (oauth2["requestBody"]["required"], list(oauth2["responses"]["200"]["content"])) == (True, ["application/json"])
    assert (list(oauth1["requestBody"]["content"]), oauth1["requestBody"]["required"]) == ([form], False)
    assert "oauth_token_secret" in oauth1["responses"]["201"]["content"][form]["schema"]["properties"]
    websso = "/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso"
    assert "requestBody" not in paths[websso]["post"]
    assert list(paths[f"{websso}/callback"]["get"]["responses"]["200"]["content"]) == ["text/html"]
    assert document(room("image", "api").SERVICE)["paths"]["/images/{image_id}/file"]["put"]["requestBody"] == {
        "content": {"application/octet-stream": {}}, "required": True,
    }  # fmt: skip
    data = document(room("image", "api").SERVICE)["paths"]["/images/{image_id}/file"]["get"]["responses"]
    assert data["200"]["content"] == data["206"]["content"] == {"application/octet-stream": {}}
    assert "content" not in data["204"]


def test_several_actions_of_one_path_are_alternatives():
    made = document(toys())["paths"]["/act"]["post"]
    eat, throw = made["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert (eat["x-wolke-policy"], eat["x-openstack"], eat["description"]) == ("toy:eat", {"action-name": "eat"}, "Eat it.")
    assert throw["required"] == ["throw"]
    assert set(made["responses"]) == {"200", "202", "default"}
    assert made["responses"]["200"]["content"]["application/json"]["schema"]["properties"] == {"far": {"type": "boolean"}}


@pytest.mark.parametrize(("path", "told"), [
    ("/silent", "declare its shape as answer="), ("/shapeless", "declare its shape as answer="), ("/no-form", f"answers {FORM}: declare it"), ("/deaf", "hears the query parameters b"), ("/other", "answers 203: declare it"),
])  # fmt: skip
def test_what_is_not_declared_fails_in_tests(db, caplog, path, told):
    ask = client(toys(), db)
    ask("GET", path, headers={"X-Status": "203"}, ok=500)
    assert told in caplog.text
    ask("GET", "/other", headers={"X-Status": "206"}, ok=206)
    assert check.ANSWERS


@pytest.mark.parametrize(("sent", "told"), [
    ("key=k&more=x", "Additional properties"), ("at=now", "'key' is a required property"), ("key=k&key=k", "comes twice"), ("key", "answers no form"),
    ("", "'key' is a required property"), ("key=" + "x" * 256, "field/attribute key. Value"),
])  # fmt: skip
def test_a_form_that_is_not_declared_so_fails_in_tests(db, caplog, sent, told):
    ask = client(toys(), db)
    ask("GET", "/form", headers={"X-Media": FORM, "X-Form": sent}, ok=500)
    assert told in caplog.text
    for media in (JSON, "text/html"):
        ask("GET", "/form", headers={"X-Media": media, "X-Form": "key=k"}, ok=500)
        assert f"GET /form answers {media}" in caplog.text
    answer = ask("GET", "/form", headers={"X-Media": f"{FORM}; charset=us-ascii", "X-Form": "key=%20&at=2026-01-01T00:00:00Z"}, ok=200)
    assert answer.text == "key=%20&at=2026-01-01T00:00:00Z"
