import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from service.engine.marks import marks

TEXTS = st.lists(st.none() | st.text(max_size=90))


@given(TEXTS, TEXTS)
def test_a_mark_depends_on_its_text_alone(before, texts):
    alone = [marks(pa.array([text], pa.string()))[0] for text in texts]
    together = marks(pa.array(before + texts, pa.string()).slice(len(before)))
    assert together.to_pylist() == [mark.as_py() for mark in alone]


def test_different_texts_have_different_marks():
    stems = ["", "a", "event-", "x" * 40, "x" * 90]
    texts = [f"{stem}{number}" for stem in stems for number in range(5000)]
    texts += [text[::-1] for text in texts if text[::-1] not in texts[:5000]]
    distinct = set(texts)
    assert len(set(marks(pa.array(sorted(distinct))).to_pylist())) == len(distinct)


def test_a_text_that_is_not_there_has_no_mark():
    assert marks(pa.array([None, "", None], pa.string())).is_valid().to_pylist() == [0, 1, 0]
