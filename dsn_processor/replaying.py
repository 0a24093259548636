"""Replay: mails of files, batch by batch, read by worker processes and stored by this one, and counted.

What takes long to load is needed last: the workers start before the database is opened.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from dsn_processor import bulk, pipeline
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.facts import InboundMessage
from dsn_processor.intake.items import Item, Skipped, gathered
from dsn_processor.pipeline import Outcome
from dsn_processor.reading import Rules
from dsn_processor.server.handover import Handover
from dsn_processor.terms import Kind
from dsn_processor.warming import warm_up
from dsn_processor.workers import Batch, Worker, prepare_all

if TYPE_CHECKING:
    from dsn_processor.record.store import Store

BATCH_MAILS = 256  # mails committed together
BATCH_BYTES = 8_000_000  # bytes of mail after which a batch is committed at the latest
_FEW, _FEW_TO_FORK = 4, 1  # batches that are read sooner than two processes start
_AHEAD = 4  # batches that forked workers read while the database is opened


@dataclass(slots=True)
class Tally:
    """What a replay counted. ``failed`` are sources that could not be read; ``waiting`` were left by an earlier run."""

    mails: int = 0
    duplicates: int = 0
    repeated: int = 0
    quarantined: int = 0
    waiting: int = 0
    failed: int = 0
    skipped: int = 0
    passed_over: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, outcome: Outcome) -> None:
        if outcome.duplicate:
            self.duplicates += 1
        elif outcome.kind is None:
            self.quarantined += 1
        else:
            self.kinds[outcome.kind.value] += 1
        self.repeated += outcome.repeated
        for event in outcome.events:
            self.events[event.kind.value] += 1
            if event.verdict is not None:
                bounce_type, reason = event.verdict.bounce_type.value, event.verdict.reason.value
                self.types[bounce_type] += 1
                self.reasons[bounce_type, reason] += 1

    @property
    def unparsed(self) -> int:
        return self.kinds[Kind.UNPARSED.value]


class Supply(NamedTuple):
    """Mails batch by batch, and the processes to read them: none where they are few. ``begun`` are the batches before, which
    the first of the workers have already.
    """

    batches: Iterator[list[InboundMessage]]
    workers: Sequence[Worker] = ()
    begun: Sequence[Batch] = ()


def _packaged() -> None:
    """No rules but the package's."""


@contextmanager
def supplied(
    items: Iterable[Item],
    tally: Tally,
    *,
    skipped: Callable[[Skipped], None],
    workers: int = 1,
    fork: bool = False,
    rules: Callable[[], Rules | None] = _packaged,
) -> Iterator[Supply]:
    """The mails of ``items``. A few batches are not worth a process: else, with more than one of ``workers``, so many are
    started, and are ended at the end. To ``fork`` them is quicker, and right only where nothing is open yet that is for one alone.
    Such workers get their first batches at once, before anybody can know which of these mails the store has: the commit will tell.
    """
    batches = _batches(items, tally, skipped)
    few = _FEW_TO_FORK if fork else _FEW
    ahead = list(islice(batches, _AHEAD if fork else few + 1)) if workers > 1 else []
    with ExitStack() as closing:
        many = len(ahead) > few
        if many and fork:
            warm_up()
        team = [closing.enter_context(Worker(fork=fork)) for _ in range(workers)] if many else []
        begun = [Batch(bulk.unsifted(mails), rules()) for mails in _shared(ahead, len(team))] if fork else []
        for worker, batch in zip(team, begun, strict=False):
            worker.begin(batch)
        yield Supply(chain(() if begun else ahead, batches), team, begun)


def _shared(batches: Sequence[list[InboundMessage]], workers: int) -> list[list[InboundMessage]]:
    """The mails of all batches in their order, parted among so many ``workers``, or as many as there are batches for."""
    if not workers:
        return []
    each = -(-len(batches) // workers)
    return [
        [mail for batch in batches[start : start + each] for mail in batch]
        for start in range(0, len(batches), each)
    ]


def replay(
    store: "Store | Handover",
    supply: Supply,
    tally: Tally,
    *,
    seen: Callable[[Outcome], None],
    rules: Callable[[], Rules | None] = _packaged,
    correlation: CorrelationOptions | None = None,
) -> None:
    """Take every mail of ``supply`` into the store, a batch in a transaction, and count into ``tally`` what is committed.
    ``rules`` is asked before each batch: a file of rules may change in a long run.

    Mails that an earlier run accepted and did not come to process are processed first. Where a server holds the
    database, it stores what is read here.
    """
    if not isinstance(store, Handover):  # a server does it by itself
        for outcome in pipeline.process_pending(store, rules(), correlation):
            tally.waiting += 1
            tally.count(outcome)
            seen(outcome)
    empty = not isinstance(store, Handover) and next(store.message_ids(), None) is None
    batches = (
        Batch(bulk.unsifted(batch) if empty else bulk.sift(store, batch), rules()) for batch in supply.batches
    )
    for prepared in prepare_all(batches, supply.workers, supply.begun):
        if isinstance(store, Handover):
            outcomes = store.commit(prepared)
        else:
            outcomes = bulk.commit(store, prepared, correlation=correlation)
        for outcome in outcomes:
            tally.mails += 1
            tally.count(outcome)
            seen(outcome)


def _batches(
    items: Iterable[Item], tally: Tally, skipped: Callable[[Skipped], None]
) -> Iterator[list[InboundMessage]]:
    for found in gathered(items, BATCH_MAILS, BATCH_BYTES):
        if isinstance(found, list):
            yield found
        elif isinstance(found, Skipped):
            tally.skipped += 1
            tally.failed += found.failed
            skipped(found)
        else:
            tally.passed_over += 1
