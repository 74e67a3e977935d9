"""Exports of tables from stores made by hand."""

import pyarrow as pa

from service.engine.exporting import export
from service.engine.orders import SavedNumbering, Table, TableColumn
from service.engine.orders.tables import Source

NUMBER = TableColumn(key="gio_id", header="gio_id", source=Source.GIO_ID)


def leaf(key, path, header=None):
    return TableColumn(
        key=key, header=header or key, source=Source.LEAF, path=tuple(path.split("."))
    )


def last(key, namespace, header=None):
    return TableColumn(
        key=key, header=header or key, source=Source.LAST_IDENTITY, namespace=namespace
    )


def every(key, namespace):
    return TableColumn(key=key, header=key, source=Source.ALL_IDENTITIES, namespace=namespace)


def a_table(*columns, **changes):
    return Table(columns=(NUMBER, *columns), **changes)


class Written:
    """What an export of a table wrote, and what a later one goes on from."""

    def __init__(self, store, planned, parts, before):
        self._store = store
        self.planned = planned
        self.parts = sorted(parts, key=lambda part: part.number)
        self.pieces = [bytes(store.files.open(part.key).read()) for part in self.parts]
        self.whole = b"".join(self.pieces)
        self._before = before

    @property
    def text(self):
        return self.whole.decode()

    @property
    def numbering(self):
        made = self.planned.numbering
        if made is None:
            return self._before
        return SavedNumbering(
            key=made.key,
            merged_key=made.merged_key,
            next_number=made.next_number,
            is_current=False,
        )

    @property
    def merged(self):
        """The numbers that were given up: number to number that survived, and since when."""
        with pa.ipc.open_file(self._store.files.open(self.numbering.merged_key)) as file:
            rows = file.read_all().to_pylist()
        return {row["merged_gio_id"]: (row["gio_id"], row["merged_at"]) for row in rows}


def export_table(store, order, folder, **changes):
    answers = []
    order = order.model_copy(update={"folder": folder, **changes})
    export(order, store.files, answers.append, lambda _: None)
    planned, *parts, _ = answers
    return Written(store, planned, parts, order.numbering)
