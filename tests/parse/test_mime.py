from dsn_processor.facts import Defect
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.mime import DEPTH_LIMIT, PART_LIMIT, parse_mime


def tree(raw: bytes):
    defects: list[Defect] = []
    parts = parse_mime(raw, defects)
    return [(part.depth, part.content_type) for part in parts], [defect.code for defect in defects]


def multipart(*parts: bytes, boundary: bytes = b"b", close: bytes = b"--b--\n") -> bytes:
    body = b"".join(b"--" + boundary + b"\n" + part for part in parts)
    return b'Content-Type: multipart/mixed; boundary="b"\n\npreamble\n' + body + close


def test_parts_in_order():
    raw = multipart(
        b"\none\n",
        b"Content-Type: text/html\n\n<p>two\n",
        b"Content-Type: message/rfc822\n\nSubject: x\n\ny\n",
    )
    assert tree(raw) == (
        [(0, "multipart/mixed"), (1, "text/plain"), (1, "text/html"), (1, "message/rfc822")],
        [],
    )


def test_a_message_part_is_a_leaf():
    inner = (
        b'Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary="i"\n\n--i\n\nx\n--i--\n'
    )
    assert tree(multipart(inner))[0] == [(0, "multipart/mixed"), (1, "message/rfc822")]


def test_the_closing_boundary_may_be_missing():
    assert tree(multipart(b"\none\n", close=b"")) == (
        [(0, "multipart/mixed"), (1, "text/plain")],
        ["closing_boundary_missing"],
    )


def test_a_boundary_that_does_not_occur_is_guessed():
    raw = b'Content-Type: multipart/report; boundary="lost"\n\n--real\nContent-Type: text/plain\n\nx\n--real\nContent-Type: text/html\n\ny\n--real--\n'
    assert tree(raw) == ([(0, "multipart/report"), (1, "text/plain"), (1, "text/html")], ["boundary_guessed"])


def test_a_longer_boundary_that_begins_alike_is_another():
    raw = multipart(b"\none\n--bb\nstill one\n", b"\ntwo\n")
    defects: list[Defect] = []
    root = parse_mime(raw, defects)[0]
    assert [part.text(100) for part in root.children] == ["one\n--bb\nstill one", "two"]


def test_depth_and_number_of_parts_are_bounded():
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(50))
    nodes, defects = tree(deep)
    assert max(depth for depth, _ in nodes) == DEPTH_LIMIT
    assert "mime_depth_exceeded" in defects
    nodes, defects = tree(multipart(*[b"\nx\n"] * 500))
    assert len(nodes) <= PART_LIMIT + 1
    assert "mime_parts_exceeded" in defects


def test_transfer_encodings_and_their_damage():
    def body(encoding: bytes, data: bytes) -> str:
        return Mail(b"Content-Transfer-Encoding: " + encoding + b"\n\n" + data).text

    assert body(b"base64", b"QUJD\nREVG\n") == "ABCDEF"
    assert body(b"BASE64", b"QUJDR") == "ABC"
    assert body(b"base64", b"QUJD\n\nA footer in the clear.\n") == "ABC"
    assert body(b"quoted-printable", b"a=3Db=\nc=ZZ") == "a=bc=ZZ"
    assert body(b"8bit", "é".encode()) == "é"
    assert body(b"unheard-of", b"x") == "x"


def test_all_line_ends_read_alike():
    raw = multipart(b"\none\n", b"Content-Type: text/html\n\ntwo\n")
    texts = [
        [part.text(100) for part in Mail(raw.replace(b"\n", end)).parts]
        for end in (b"\n", b"\r\n", b"\r", b"\r\r\n")
    ]
    assert texts[0] == texts[1] == texts[2] == texts[3]


def test_the_envelope_line_of_an_mbox_is_no_field():
    assert Mail(b"From a@example.net Sat Nov 21 02:40:30 2026\nSubject: x\n\ny\n").subject == "x"


def test_a_multipart_without_parts_is_read_as_text():
    assert (
        Mail(b"Content-Type: multipart/report; boundary=b\n\nall in the clear\n").text == "all in the clear\n"
    )
