"""How each recipient of a report is tied to what we sent, and how far that is proven. docs/correlation.md has it in prose."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from dsn_processor.canonical import reference
from dsn_processor.correlate.clues import Clues
from dsn_processor.correlate.options import Ours
from dsn_processor.correlate.token import Token
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
    """One answer for each recipient of a report that came ``now``."""
    proofs: list[list[_Proof]] = [[] for _ in subjects]
    foreign: set[int] = set()
    for token, trust, match in _tokens(clues):
        mailed = _whom_token_names(token, subjects, clues, known)
        for at, address in enumerate(mailed):
            if address is None:
                foreign.add(at)
                continue
            send = _send_to(known.messages.get(token.message), address)
            proofs[at].append(
                _Proof(trust, match, address, token.late(now.date()), send, token, clues.message_id)
            )
    for message_id, match in _ids(clues):
        sent = known.messages.get(reference(message_id))
        if sent is None:
            continue
        trust = Trust.PLAUSIBLE if sent.shared else Trust.MATCHED
        for at, address in enumerate(_whom_message_went_to(sent, subjects, clues)):
            if address is not None and (send := _send_to(sent, address)):
                late = now > send.sent_at + timedelta(days=ours.valid_days)
                proofs[at].append(_Proof(trust, match, address, late, send, None, message_id, sent.shared))
    guesses = _guesses(clues, subjects, known)
    return [
        _tied(subject, proofs[at], guesses[at], clues, ours, known, foreign=at in foreign)
        for at, subject in enumerate(subjects)
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


def _whom_token_names(
    token: Token, subjects: Sequence[Subject], clues: Clues, known: Known
) -> list[str | None]:
    """The mailed address of each recipient, None where the token is not about that one.

    Where it names none of them the mail was forwarded, or the token was taken from another mail: either way it is about
    the address that it names, if we know that one, and about no other.
    """
    mailed = [next(filter(token.names, subject.addresses()), None) for subject in subjects]
    if any(mailed):
        return mailed
    sent = known.messages.get(token.message)
    candidates = [send.recipient for send in sent.sends] if sent is not None else []
    named = next(filter(token.names, (*candidates, *clues.named, *clues.verp)), None)
    return [named] * len(subjects)


def _whom_message_went_to(sent: SentMessage, subjects: Sequence[Subject], clues: Clues) -> list[str | None]:
    """As above, by whom the message was sent to."""
    recipients = {send.recipient for send in sent.sends}
    mailed = [next(filter(recipients.__contains__, subject.addresses()), None) for subject in subjects]
    if any(mailed):
        return mailed
    candidates = recipients if not sent.shared else recipients & {*clues.verp, *clues.named}
    forwarded = next(iter(candidates)) if len(candidates) == 1 else None
    return [forwarded] * len(subjects)


def _guesses(clues: Clues, subjects: Sequence[Subject], known: Known) -> list[str | None]:
    """The address that VERP names: no proof, but the best that an unsigned return path says."""
    if not clues.verp:
        return [None] * len(subjects)
    mailed = [next((one for one in subject.addresses() if one in clues.verp), None) for subject in subjects]
    if any(mailed):
        return mailed
    likeliest = next(filter(known.addresses.__contains__, clues.verp), clues.verp[0])
    return [likeliest] * len(subjects)


def _tied(
    subject: Subject,
    proofs: Sequence[_Proof],
    guess: str | None,
    clues: Clues,
    ours: Ours,
    known: Known,
    *,
    foreign: bool,
) -> Tied:
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
        if known.any and not {*subject.addresses(), *clues.verp} & known.addresses.keys():
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


def _send_to(sent: SentMessage | None, address: str) -> Send | None:
    return (
        next((send for send in sent.sends if send.recipient == address), None) if sent is not None else None
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
