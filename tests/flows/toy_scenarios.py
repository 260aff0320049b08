"""A toy flow, to prove the gate and the kernel before any service stands on them."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import Mapped, mapped_column

from common import jobs
from common.db import Base, Desired, Identified
from common.jobs import Done, Flow, Goto, Wait
from tests.flows.gate import Scenario


class Thing(Identified, Desired, Base):
    """Something that an engine has to make, in the colour that the row wishes."""

    __tablename__ = "thing"
    __table_args__ = ({"schema": "common"},)
    colour: Mapped[str] = mapped_column(String(16))
    made_as: Mapped[str | None]


class Factory:
    """The engine: things by name, in a colour."""

    def __init__(self) -> None:
        self.things: dict[str, str] = {}
        self.painted = 0

    def ensure(self, name: str) -> None:
        self.things.setdefault(name, "grey")

    def paint(self, name: str, colour: str) -> None:
        self.things[name] = colour
        self.painted += 1

    def ensure_absent(self, name: str) -> None:
        self.things.pop(name, None)


MAKE: Flow[Thing] = Flow("toy.make", Thing, deadline=timedelta(minutes=30))
SCRAP: Flow[Thing] = Flow("toy.scrap", Thing, deadline=timedelta(minutes=30), at_deadline="park")


@MAKE.step
def start(run):
    if run.subject is None or run.subject.desired == "absent":
        return Done()
    run.engine(Factory).ensure(run.subject.id)
    return Goto("dry")


@MAKE.step
def dry(run):
    if not run.data.get("waited"):
        return Wait(10, "the thing dries", {"waited": True})
    return Goto("paint")


@MAKE.step
def paint(run):
    thing = run.subject
    if thing is None:
        return Done()
    run.engine(Factory).paint(thing.id, thing.colour)

    def commit(tx):
        row = run.lock(tx)
        if row is not None:
            row.made_as = thing.colour
        return Done()

    return commit


@SCRAP.step
def start_scrap(run):
    return Goto("remove")


SCRAP.steps["start"] = SCRAP.steps.pop("start_scrap")


@SCRAP.step
def remove(run):
    if pause := run.wait_out():
        return pause
    run.engine(Factory).ensure_absent(run.subject_id)

    def commit(tx):
        row = run.lock(tx)
        if row is not None:
            tx.delete(row)
        return Done()

    return commit


class Make(Scenario):
    """A thing is made; its colour may change under way."""

    name = "toy.make"
    flows = (MAKE, SCRAP)
    can_edit = True

    def __init__(self) -> None:
        self.factory = Factory()
        self.colour = "red"

    def engines(self):
        return [(Factory, self.factory)]

    def begin(self, db):
        engine = create_engine(db.engine.url)
        Base.metadata.create_all(engine, tables=[Thing.__table__])
        engine.dispose()
        with db.transaction() as tx:
            thing = Thing(colour="red")
            tx.add(thing)
            tx.flush()
            jobs.enqueue(tx, MAKE, thing.id)
            self.thing_id = thing.id
        return thing.id

    def edit(self, db, subject_id):
        self.colour = "blue"
        with db.transaction() as tx:
            thing = tx.get(Thing, subject_id, with_for_update=True)
            if thing.colour != "blue":
                thing.colour = "blue"
                thing.touch()
                jobs.enqueue(tx, MAKE, thing.id)

    def check(self, db):
        with db.transaction() as tx:
            thing = tx.execute(select(Thing)).scalar_one()
        assert thing.settled
        assert thing.fault is None
        assert self.factory.things == {thing.id: self.colour}
        assert thing.made_as == self.colour

    def check_failed(self, db):
        with db.transaction() as tx:
            thing = tx.execute(select(Thing)).scalar_one()
        assert thing.fault["code"] == 500


class Scrap(Make):
    """A thing is scrapped while it is being made: nothing is left."""

    name = "toy.scrap"
    can_edit = False

    def begin(self, db):
        thing_id = super().begin(db)
        with db.transaction() as tx:
            thing = tx.get(Thing, thing_id, with_for_update=True)
            thing.desired = "absent"
            thing.touch()
            jobs.divert(tx, SCRAP, thing_id)
        return thing_id

    def check(self, db):
        with db.transaction() as tx:
            assert tx.execute(select(Thing)).all() == []
        assert self.factory.things == {}

    def check_failed(self, db):
        with db.transaction() as tx:
            assert tx.execute(select(Thing)).scalar_one().desired == "absent"


class ScrapUnderWay(Make):
    """The delete comes as an edit, between any two steps of the making."""

    name = "toy.scrap-under-way"

    def edit(self, db, subject_id):
        with db.transaction() as tx:
            thing = tx.get(Thing, subject_id, with_for_update=True)
            if thing is not None and thing.desired != "absent":
                thing.desired = "absent"
                thing.touch()
                jobs.divert(tx, SCRAP, subject_id)
        self.scrapped = True

    def check(self, db):
        if getattr(self, "scrapped", False):
            Scrap.check(self, db)
        else:
            super().check(db)


SCENARIOS = [Make, Scrap, ScrapUnderWay]
