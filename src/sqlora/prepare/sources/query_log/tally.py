"""Counts a log's statements in memory that does not grow with the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlora.prepare.sources.query_log.mask import Mask
from sqlora.prepare.sources.query_log.seen import Seen
from sqlora.prepare.texts import SQL_LIMIT

MOST = 20_000  # different statements that are kept
LARGEST = 16 * 2**20  # characters of them all

# What a statement begins with that is no query. Names are cut, and a word that is not here counts as a query until
# it is parsed.
NOT_QUERIES = frozenset(
    """
    ABORT ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE DELETE
    DESC DESCRIBE DETACH DISCARD DO DROP END EXECUTE EXPLAIN FETCH GET GRANT IMPORT INSERT INSTALL KILL LIST LISTEN
    LOAD LOCK MERGE MOVE NOTIFY PRAGMA PREPARE PUT REFRESH REINDEX RELEASE REMOVE REPLACE RESET REVOKE ROLLBACK
    SAVEPOINT SECURITY SET SHOW START TRUNCATE UNDROP UNLISTEN UPDATE UPSERT USE VACUUM
    """.split()  # noqa: SIM905
)


@dataclass(slots=True)
class Entry:
    """One statement and all that differ from it only in values; ``sql`` is the first of them, ``time`` when it ran."""

    sql: str
    place: str
    calls: int
    time: str
    database: str
    parameters: tuple[str, ...]


class Tally:
    """How often each statement ran. The half that ran least is forgotten whenever there are too many.

    That is lossy counting (Manku and Motwani, VLDB 2002) with a fixed size: a statement that is frequent at any time
    is kept, one that was forgotten and comes again starts anew. What was forgotten is counted in ``rare``.
    """

    def __init__(self, mask: Mask, verbs: bool = True, most: int = MOST, largest: int = LARGEST) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.calls = 0
        self.refused: Counter[str] = Counter()  # by first word
        self.rare = self.rare_calls = self.too_long = 0
        self._mask, self._verbs = mask, verbs
        self._most, self._largest = most, largest
        self._characters = 0

    def add(self, seen: Seen) -> None:
        """Count a statement; ``seen.calls`` times."""
        self.calls += seen.calls
        if self._verbs and (verb := self._mask.verb(seen.sql)) in NOT_QUERIES:
            self.refused[verb] += seen.calls
            return
        # Comments are no part of a query's length, and a masked query is hardly longer than what it stands for.
        if len(seen.sql) > 4 * SQL_LIMIT:
            self.too_long += seen.calls
            return
        mark = self._mask.mark(seen.sql)
        entry = self.entries.get(mark)
        if entry is not None:
            entry.calls += seen.calls
            if seen.time and (not entry.time or seen.time < entry.time):
                entry.time = seen.time
            return
        if len(self.entries) >= self._most or self._characters > self._largest:
            self._forget()
        self.entries[mark] = Entry(seen.sql, seen.place, seen.calls, seen.time, seen.database, seen.parameters)
        self._characters += len(seen.sql)

    def _forget(self) -> None:
        ordered = sorted(self.entries.items(), key=lambda item: -item[1].calls)
        for mark, entry in ordered[len(ordered) // 2 :]:
            self.rare += 1
            self.rare_calls += entry.calls
            self._characters -= len(entry.sql)
            del self.entries[mark]
