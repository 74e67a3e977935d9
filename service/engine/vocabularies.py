"""The vocabularies of a snapshot: one for each kind of files, made when it is first asked for."""

from __future__ import annotations

from catalog.store_files import StoreFileKind
from service.engine.snapshot import READ, Snapshot
from service.engine.store_files import StoreFile
from service.engine.vocabulary import Vocabulary
from service.storage.files import Files


class Vocabularies:
    """Makes each vocabulary once: to unite the words of all files takes as long as to merge a
    slice. Ask for them in one thread; what was given may be read in several."""

    def __init__(self, snapshot: Snapshot, files: Files) -> None:
        self._snapshot = snapshot
        self._files = files
        self._made: dict[StoreFileKind, Vocabulary] = {}

    def of(self, kind: StoreFileKind) -> Vocabulary:
        """Give the vocabulary of the files of a kind, in the snapshot's order of them."""
        if kind not in self._made:
            order = self._snapshot.order
            keys = [order.files[number].key for number in self._snapshot.numbers(kind)]
            opened = [StoreFile(self._files.open(key)) for key in keys]
            self._made[kind] = Vocabulary(opened, self._snapshot.columns(kind), order.threads)
        return self._made[kind]

    def make_all(self) -> None:
        """Make those of all kinds that slices are made of."""
        for kind in READ:
            self.of(kind)
