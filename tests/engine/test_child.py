import io

import pytest

from service.engine import channel
from service.engine.child import Answers, _export
from service.engine.orders import Done, Part, Planned
from service.engine.plan import make_plan
from tests.engine.builders import Store, a_batch, an_order


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def order(store):
    batch = a_batch("crm", 1, {"identityMap": {"CRM": [{"id": "1", "primary": True}]}})
    return an_order([batch], files=tuple(store.put(batch)), folder="first")


def answers_to(order, store):
    pipe = io.BytesIO()
    _export(order, store.files, Answers(pipe))
    pipe.seek(0)
    return [channel.answer_in(body) for body in iter(lambda: channel.receive(pipe), None)]


def test_a_later_attempt_goes_on_from_the_plan(order, store):
    planned = make_plan(order, store.files, lambda _: None)
    later = order.model_copy(update={"folder": "later", "plan_key": planned.key})
    kinds = {type(answer) for answer in answers_to(later, store)}
    assert Part in kinds
    assert Planned not in kinds


def test_a_plan_for_another_order_is_made_anew(order, store):
    planned = make_plan(order, store.files, lambda _: None)
    changes = {"folder": "later", "plan_key": planned.key, "with_empty_profiles": True}
    answers = answers_to(order.model_copy(update=changes), store)
    assert isinstance(answers[0], Planned)
    assert isinstance(answers[-1], Done)
