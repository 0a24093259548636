"""How each recipient of a report is tied to what we sent, and how far that is proven. docs/correlation.md has it in prose."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from dsn_processor.canonical import reference
from dsn_processor.correlate.clues import Clues
from dsn_processor.correlate.options import Ours
from dsn_processor.correlate.token import Key, Token
from dsn_processor.facts import Correlation, Send, SentMessage
from dsn_processor.terms import Finding, Match, Trust

_TRUST = list(Trust)
_MATCH = list(Match)


class Subject(NamedTuple):
    """One recipient of a report, by canonical addresses: ``final`` is the one that failed, ``original`` what it was made
    from, where the report says so (RFC 3464 section 2.3.1).
    """

    final: str
    original: str | None = None

    def addresses(self) -> tuple[str, ...]:
        return (self.final,) if self.original is None else (self.final, self.original)


class Known(NamedTuple):
    """What the registry of sends knows: of message ids by ``reference``; of addresses, whether they are lists. ``any`` is
    False where it is not in use.
    """

    messages: Mapping[int, SentMessage]
    addresses: Mapping[str, bool]
    any: bool


class _Proof(NamedTuple):
    """One way to tie a recipient to a mail of ours: ``mailed`` is the address that it was to, None where that is not
    known.
    """

    trust: Trust
    match: Match
    mailed: str | None
    late: bool = False
    send: Send | None = None
    token: Token | None = None
    message_id: str = ""
    shared: bool = False

    def rank(self) -> tuple[bool, int, int]:
        """Small is strong. What came in time counts, what came late does not."""
        return self.late, _TRUST.index(self.trust), _MATCH.index(self.match)


class Tied(NamedTuple):
    """``token`` is the one that proves it: it names the mail where no Message-ID came back."""

    correlation: Correlation
    token: Token | None = None


def correlate(
    clues: Clues, subjects: Sequence[Subject], ours: Ours, now: datetime, known: Known
) -> list[Tied]:
    """One answer for each recipient of a report that came ``now``. Linear in their number."""
    seen = _Seen(clues, subjects, known)
    proofs: list[list[_Proof]] = [[] for _ in subjects]
    foreign = False
    for token, trust, match in _tokens(clues):
        sends = seen.sends(token.message)
        mailed = seen.named_by(token)
        foreign |= not all(mailed)
        late = token.late(now.date())
        for at, address in enumerate(mailed):
            if address is not None:
                send = sends.get(address)
                proofs[at].append(_Proof(trust, match, address, late, send, token, clues.message_id))
    for message_id, match in _ids(clues):
        key = reference(message_id)
        sends, shared = seen.sends(key), seen.recipients(key) > 1
        few = seen.recipients(key) <= ours.shared_recipients
        for at, address in enumerate(seen.sent_to(key)):
            named = not shared or address in subjects[at].addresses()
            trust = Trust.MATCHED if few and named else Trust.PLAUSIBLE
            if address is not None and (send := sends.get(address)):
                late = now > send.sent_at + timedelta(days=ours.valid_days)
                proofs[at].append(_Proof(trust, match, address, late, send, None, message_id, shared))
    return [
        _tied(subject, proof, guess, seen, ours, foreign=foreign)
        for subject, proof, guess in zip(subjects, proofs, seen.guesses(), strict=True)
    ]


def correlate_unnamed(clues: Clues, ours: Ours, now: datetime, known: Known) -> Tied | None:
    """For a report that does not say whom it is about, as most complaints about spam: the address that we mailed; None
    where nothing tells.
    """
    [tied] = correlate(clues, [Subject("")], ours, now, known)
    if tied.correlation.mailed_address is None:
        return None
    findings = tuple(one for one in tied.correlation.findings if one is not Finding.FORWARDED)
    return tied._replace(correlation=tied.correlation._replace(findings=findings))


def _tokens(clues: Clues) -> Iterator[tuple[Token, Trust, Match]]:
    for token in clues.signed:
        yield token, Trust.SIGNED, Match.TOKEN
    for token in clues.inside:
        yield token, Trust.MATCHED, Match.TOKEN_INSIDE


def _ids(clues: Clues) -> Iterator[tuple[str, Match]]:
    if clues.message_id:
        yield clues.message_id, Match.MESSAGE_ID
    if clues.envelope_id:
        yield clues.envelope_id, Match.ENVELOPE_ID
    for one in clues.header_ids:
        yield one, Match.HEADER


class _Seen:
    """What is known, so arranged that each question takes one look: a report may name thousands."""

    def __init__(self, clues: Clues, subjects: Sequence[Subject], known: Known) -> None:
        self.clues = clues
        self.known = known
        self._subjects = subjects
        self._sends: dict[int, dict[str, Send]] = {}
        self._hashes: dict[Key, dict[bytes, str]] = {}
        self.verp_was_mailed = any(one in known.addresses for one in clues.verp)

    def sends(self, key: int) -> dict[str, Send]:
        """The sends of a message that are known, by recipient."""
        if key not in self._sends:
            sent = self.known.messages.get(key)
            self._sends[key] = {send.recipient: send for send in sent.sends} if sent is not None else {}
        return self._sends[key]

    def recipients(self, key: int) -> int:
        """How many a message went to, as far as it is known."""
        return self.known.messages[key].recipients if key in self.known.messages else 0

    def named_by(self, token: Token) -> list[str | None]:
        """The mailed address of each recipient, None where the token is not about that one.

        Where it names none of them the mail was forwarded, or the token was taken from another mail: either way it is about
        the address that it names, if we know that one, and about no other.
        """
        if token.key not in self._hashes:
            named = {one for subject in self._subjects for one in subject.addresses()}
            self._hashes[token.key] = {token.key.recipient(one): one for one in named}
        if address := self._hashes[token.key].get(token.recipient):
            return self._among([address])
        candidates = (*self.sends(token.message), *self.clues.named, *self.clues.verp)
        return [next(filter(token.names, candidates), None)] * len(self._subjects)

    def sent_to(self, key: int) -> list[str | None]:
        """As above, by whom the message was sent to."""
        recipients = self.sends(key)
        mailed = self._among(recipients)
        if any(mailed):
            return mailed
        candidates = set(recipients)
        if self.recipients(key) > 1:
            candidates &= {*self.clues.verp, *self.clues.named}
        forwarded = next(iter(candidates)) if len(candidates) == 1 else None
        return [forwarded] * len(self._subjects)

    def guesses(self) -> list[str | None]:
        """The address that VERP names: no proof, but the best that an unsigned return path says."""
        verp = self.clues.verp
        if not verp:
            return [None] * len(self._subjects)
        mailed = self._among(frozenset(verp))
        if any(mailed):
            return mailed
        likeliest = next(filter(self.known.addresses.__contains__, verp), verp[0])
        return [likeliest] * len(self._subjects)

    def _among(self, addresses: Collection[str]) -> list[str | None]:
        """Of each recipient the address that is among these."""
        return [
            next((one for one in subject.addresses() if one in addresses), None) for subject in self._subjects
        ]


def _tied(
    subject: Subject,
    proofs: Sequence[_Proof],
    guess: str | None,
    seen: _Seen,
    ours: Ours,
    *,
    foreign: bool,
) -> Tied:
    clues, known = seen.clues, seen.known
    best = min(proofs, key=_Proof.rank, default=None)
    if best is None and clues.dkim:
        best = _Proof(Trust.PLAUSIBLE, Match.DKIM, guess)
    elif best is None and guess is not None:
        best = _Proof(Trust.UNPROVED, Match.VERP, guess)
    mailed = best.mailed if best is not None else None
    findings = []
    if best is not None and best.late:
        findings.append(Finding.LATE)
    if mailed is not None and mailed != subject.final:
        findings.append(Finding.FORWARDED)
    if any(_is_list(one, ours, known) for one in {mailed, subject.original} - {None} if one):
        findings.append(Finding.MAILING_LIST)
    if best is not None and best.shared:
        findings.append(Finding.SHARED_MESSAGE)
    if not proofs:
        if foreign:
            findings.append(Finding.OTHER_RECIPIENT)
        if clues.false:
            findings.append(Finding.FALSE_TOKEN)
        was_mailed = seen.verp_was_mailed or any(one in known.addresses for one in subject.addresses())
        if known.any and not was_mailed:
            findings.append(Finding.NEVER_MAILED)
    if best is None:
        return Tied(Correlation(findings=tuple(findings)))
    send, token = best.send, best.token
    return Tied(
        Correlation(
            trust=Trust.UNPROVED if best.late else best.trust,
            matched_by=best.match,
            mailed_address=mailed,
            sent_message_id=_message_id(best),
            stream=send.stream if send is not None and send.stream else _stream(token, ours),
            campaign=send and send.campaign,
            tags=send.tags if send is not None else (),
            findings=tuple(findings),
        ),
        token,
    )


def _is_list(address: str, ours: Ours, known: Known) -> bool:
    return address in ours.lists or known.addresses.get(address, False)


def _message_id(proof: _Proof) -> str | None:
    """The id of the mail that we sent: as registered, or as the report returns it, where the token knows that one."""
    if proof.send is not None:
        return proof.send.message_id or None
    if proof.token is not None and proof.token.message == reference(proof.message_id):
        return proof.message_id or None
    return None


def _stream(token: Token | None, ours: Ours) -> str | None:
    return None if token is None else next(filter(token.names_stream, ours.streams), None)
