"""Ann, her records and her clicks, and what is read of a profile."""

from tests.engine.builders import day, named

ANN = named("crm:ann")


def only(rows):
    (row,) = rows
    return row


def first_names(rows):
    return sorted(row["first"] for row in rows)


def person(**values):
    return {"identityMap": ANN, **values}


def a_click(id="e1", **values):
    return {"identityMap": ANN, "_id": id, "timestamp": day(1), **values}


def event_ids(row):
    return [event["_id"] for event in row["timeSeriesEvents"]]
