"""Any talk at all, against a model of it: one answer for each command, the same in whatever pieces it comes."""

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_KNOWN = "bounces@example.com"
_MAX_ERRORS, _MAX_JUNK = 4, 8

_LINES = st.one_of(
    st.sampled_from(
        [
            "EHLO client.example.org",
            "ehlo client.example.org",
            "HELO client.example.org",
            "EHLO",
            "MAIL FROM:<>",
            "MAIL FROM:<a@example.org> SIZE=100 BODY=8BITMIME",
            "MAIL FROM:<a@example.org> SIZE=100000001",
            "MAIL FROM:<a@example.org",
            "MAIL FROM:<> BY=1",
            f"RCPT TO:<{_KNOWN}>",
            f"RCPT TO:<{_KNOWN}> ORCPT=rfc822;x",
            "RCPT TO:<nobody@example.com>",
            "RCPT TO:<>",
            "RCPT FROM:<>",
            "DATA",
            "DATA now",
            "RSET",
            "NOOP",
            "VRFY bounces",
            "EXPN list",
            "HELP",
            "AUTH LOGIN",
            "STARTTLS",
            "QUIT",
            "GET / HTTP/1.1",
            "BDAT 1 LAST",
            "LHLO x",
            "",
        ]
    ),
    st.text(
        alphabet=st.characters(min_codepoint=0, max_codepoint=0x2FFF, exclude_characters="\r\n"), max_size=20
    ),
)

_PLAIN = {"RSET": "250", "NOOP": "250", "VRFY": "252", "EXPN": "502", "HELP": "214"}
_FOREIGN = {"GET", "BDAT"}


class Model:
    """What RFC 5321 and the limits let a session answer. ``answer`` returns a code, and after the last one all is over."""

    def __init__(self):
        self.hello = self.sender = self.over = False
        self.recipients = self.errors = self.junk = 0

    def answer(self, line):
        verb, _, rest = line.partition(" ")
        verb, rest = verb.upper(), rest.strip(" ")
        code = self._code(verb, rest, line)
        if code == "421" or verb == "QUIT":
            self.over = True
        return code

    def _code(self, verb, rest, line):
        if verb in _FOREIGN:
            return "421"
        if verb not in {"HELO", "EHLO", "MAIL", "RCPT", "DATA", "AUTH", "STARTTLS", "QUIT", *_PLAIN}:
            return self._wrong("500")
        if any(ord(character) < 32 or ord(character) == 127 for character in line):
            return self._wrong("501")
        if verb in _PLAIN:
            if verb == "RSET":
                self._forget()
            return self._idle(_PLAIN[verb])
        return getattr(self, f"_{verb.lower()}")(rest)

    def _helo(self, rest):
        if not rest:
            return self._wrong("501")
        again, self.hello = self.hello, True
        self._forget()
        return self._idle("250") if again else "250"

    _ehlo = _helo

    def _mail(self, rest):
        if not self.hello or self.sender:
            return self._wrong("503")
        code = {
            "FROM:<>": "250",
            "FROM:<a@example.org> SIZE=100 BODY=8BITMIME": "250",
            "FROM:<a@example.org> SIZE=100000001": "552",
            "FROM:<a@example.org": "553",
            "FROM:<> BY=1": "555",
        }.get(rest, "501")
        if code != "250":
            return self._wrong(code)
        self.sender = True
        return code

    def _rcpt(self, rest):
        if not self.hello or not self.sender:
            return self._wrong("503")
        code = {
            f"TO:<{_KNOWN}>": "250",
            f"TO:<{_KNOWN}> ORCPT=rfc822;x": "250",
            "TO:<nobody@example.com>": "550",
            "TO:<>": "553",
        }.get(rest, "501")
        if code != "250":
            return self._wrong(code)
        self.recipients += 1
        return code

    def _data(self, rest):
        if not self.hello or not self.recipients:
            return self._wrong("503")
        return self._wrong("501") if rest else "354"

    def kept(self):
        self._forget()
        self.errors = self.junk = 0

    def _auth(self, rest):
        return self._wrong("502")

    def _starttls(self, rest):
        return self._wrong("503")

    def _quit(self, rest):
        return "221"

    def _forget(self):
        self.sender, self.recipients = False, 0

    def _wrong(self, code):
        self.errors += 1
        return "421" if self.errors >= _MAX_ERRORS else code

    def _idle(self, code):
        self.junk += 1
        return "421" if self.junk >= _MAX_JUNK else code


def serving(serve):
    return serve(recipients=(_KNOWN,), max_errors=_MAX_ERRORS, max_junk=_MAX_JUNK)


_SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_SETTINGS
@given(st.lists(_LINES, max_size=40))
def test_line_by_line(run, serve, lines):
    async def test():
        async with serving(serve) as served:
            client = await served.connect()
            assert (await client.hear()).startswith("220 ")
            model, kept = Model(), 0
            for line in ("EHLO first.example.org", *lines):
                expected = model.answer(line)
                answer = await client.told(line)
                assert (line, answer[:3]) == (line, expected)
                if expected == "354":
                    client.send(b"Subject: x\r\n\r\n..\r\n.\r\n")
                    assert (await client.hear())[:3] == "250"
                    model.kept()
                    kept += 1
                if model.over:
                    assert await client.rest() in ([], ["reset"])
                    break
            assert len(served.keeper.mails) == kept

    run(test())


@_SETTINGS
@given(st.lists(_LINES, max_size=40), st.lists(st.integers(0, 2_000), max_size=10))
def test_in_any_pieces(run, serve, lines, places):
    """All commands at once but DATA, which has to be waited for."""
    lines = ["EHLO first.example.org", *(line for line in lines if not line.upper().startswith("DATA"))]

    async def test():
        async with serving(serve) as served:
            client = await served.connect()
            assert (await client.hear()).startswith("220 ")
            model = Model()
            expected = [model.answer(line) for line in lines if not model.over]
            octets = "".join(f"{line}\r\n" for line in lines).encode()
            marks = sorted({0, len(octets), *(place % (len(octets) + 1) for place in places)})
            for begin, end in pairwise(marks):
                client.send(octets[begin:end])
                await client.writer.drain()
            heard = [(await client.hear())[:3] for _ in expected]
            assert heard == expected

    run(test())


_BODIES = st.lists(
    st.lists(
        st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"x", b"QUIT\r\n", b"\0"]), max_size=12
    ).map(b"".join),
    min_size=1,
    max_size=4,
)


@_SETTINGS
@given(_BODIES, st.lists(st.integers(0, 200), max_size=8))
def test_mails_in_any_pieces(run, serve, bodies, places):
    """What follows a mail comes along with its end, up to the next DATA."""
    envelope = f"MAIL FROM:<>\r\nRCPT TO:<{_KNOWN}>\r\nDATA\r\n".encode()
    bodies = [body + b"\r\n" for body in bodies]

    async def test():
        async with serving(serve) as served:
            client = await served.ready()
            client.send(envelope)
            for body in bodies:
                assert [(await client.hear())[:3] for _ in range(3)] == ["250", "250", "354"]
                stuffed = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
                octets = stuffed + b".\r\n" + envelope
                marks = sorted({0, len(octets), *(place % len(octets) for place in places)})
                for begin, end in pairwise(marks):
                    client.send(octets[begin:end])
                    await client.writer.drain()
                assert (await client.hear())[:3] == "250"
            assert [mail.raw for mail in served.keeper.mails] == bodies

    run(test())
