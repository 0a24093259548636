"""Archives: every packing, and every way to make one harmful."""

import bz2
import gzip
import io
import lzma
import random
import struct
import subprocess
import sys
import tarfile
import zipfile

import pytest

from dsn_processor.facts import InboundMessage
from dsn_processor.intake.items import Limits
from dsn_processor.intake.walk import Walk

MBOX = b"From x@example.net Fri Nov 20 02:40:30 2026\nSubject: m1\n\nx\n\nFrom x@example.net Fri Nov 20 02:40:30 2026\nSubject: m2\n\nx\n"
PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def tar(*members, form=tarfile.PAX_FORMAT):
    """Members are (name or TarInfo, content or None)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, content in members:
            info = member(info) if isinstance(info, str) else info
            info.size = info.size if content is None else len(content)
            archive.addfile(info, None if content is None else io.BytesIO(content))
    return file.getvalue()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for info, content in members:
            archive.writestr(info, content)
    return file.getvalue()


def header(number, content=b"", **changes):
    """A tar of one member whose header is written over at some offsets, with a right checksum."""
    block = bytearray(tar((f"{number}.eml", content))[:512])
    for at, value in changes.items():
        offset = int(at.removeprefix("at"))
        block[offset : offset + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def members(mail):
    return [
        ("dir/one.eml", mail(1)),
        ("README", b"not mail"),
        ("dir/two", mail(2)),
        ("in.mbox", MBOX),
        ("._one.eml", b"\0\5\x16\7"),
        ("box/cur/3:2,S", b"no header, but in cur"),
    ]


def check(found, name, mail):
    assert found.raws == [
        mail(1),
        mail(2),
        b"Subject: m1\n\nx\n",
        b"Subject: m2\n\nx\n",
        b"no header, but in cur",
    ]
    assert [one.source for one in found.mails] == [f"{name}#{n}" for n in range(1, 6)]
    assert found.skipped == []
    assert len(found.passed_over) == 2


@pytest.mark.parametrize(
    "name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tbz2", "a.tar.xz", "a.txz", "A.TAR.GZ"]
)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar(walk, put, members, mail, name, form):
    suffix = "." + name.lower().rpartition(".")[2].replace("tgz", "gz").replace("tb", "b").replace("tx", "x")
    put(name, PACKERS[suffix if suffix != ".tar" else ""](tar(*members, form=form)))
    check(walk(), name, mail)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip(walk, put, members, mail, method):
    put("a.zip", zipped(*members, method=method))
    check(walk(), "a.zip", mail)


@pytest.mark.parametrize("packing", PACKERS)
def test_named_archives_without_a_suffix(walk, put, members, mail, packing):
    check(walk(put("a", PACKERS[packing](tar(*members)))), "a", mail)


def test_a_named_zip_without_a_suffix(walk, put, members, mail):
    check(walk(put("a", zipped(*members))), "a", mail)


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
def test_packed_mboxes_and_mails(walk, put, mail, packing):
    put(f"a.mbox{packing}", PACKERS[packing](MBOX))
    put(f"b.eml{packing}", PACKERS[packing](mail(7)))
    put(f"c{packing}", PACKERS[packing](b"not mail"))
    found = walk()
    assert found.raws == [b"Subject: m1\n\nx\n", b"Subject: m2\n\nx\n", mail(7)]
    assert found.passed_over == [f"c{packing}"]


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
def test_several_streams_in_one_file(walk, put, packing):
    middle = len(MBOX) // 2
    put(f"a.mbox{packing}", PACKERS[packing](MBOX[:middle]) + PACKERS[packing](MBOX[middle:]))
    assert len(walk().mails) == 2


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.zip", "a.tar.xz"])
def test_an_empty_archive(walk, put, name):
    content = zipped() if name.endswith("zip") else tar()
    put(name, PACKERS.get("." + name.replace("tgz", "gz").rpartition(".")[2], bytes)(content))
    found = walk()
    assert (found.mails, found.skipped) == ([], [])


def test_long_and_strange_names(walk, put, mail):
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        name = f"{'d/' * 200}{'x' * 200}\N{WAVING HAND SIGN}\n.eml"
        put("a.tar", tar((name, mail(1)), ("z.eml", mail(2)), form=form))
        assert walk().raws == [mail(1), mail(2)]


def test_a_pax_size_beats_the_header(walk, put, mail):
    """As for members over 8 GiB."""
    raw = mail(1)
    record = b"%d size=%d\n" % (len(b"NN size=NN\n"), len(raw))
    pax = header(0, record, at156=b"x") + record.ljust(512, b"\0")
    put("a.tar", pax + header(1, at124=b"00000000000\0") + raw.ljust(512, b"\0") + tar())
    assert walk().raws == [raw]


def test_nothing_is_written_wherever_members_say_they_belong(walk, put, mail, tmp_path):
    names = [f"{tmp_path}/abs.eml", "../up.eml", "/etc/../../x.eml", "a/../../../y.eml", "C:\\z.eml"]
    put("a.tar", tar(*((name, mail(n)) for n, name in enumerate(names))))
    put("b.zip", zipped(*((name, mail(n)) for n, name in enumerate(names))))
    before = sorted(path.name for path in tmp_path.parent.rglob("*"))
    found = walk()
    assert found.raws == [mail(n) for n in range(5)] * 2
    assert sorted(path.name for path in tmp_path.parent.rglob("*")) == before


def test_links_devices_and_sparse_members_are_left_alone(walk, put, mail):
    sparse = member("sparse.eml", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": "9999999999"})
    put(
        "a.tar",
        tar(
            (member("link.eml", type=tarfile.SYMTYPE, linkname="/etc/passwd"), None),
            (member("hard.eml", type=tarfile.LNKTYPE, linkname="/etc/passwd"), None),
            (member("dev.eml", type=tarfile.BLKTYPE), None),
            (member("chr.eml", type=tarfile.CHRTYPE), None),
            (member("fifo.eml", type=tarfile.FIFOTYPE), None),
            (member("odd.eml", type=b"?"), None),
            (sparse, b"1\n0\n"),
            ("z.eml", mail()),
        ),
    )
    found = walk()
    assert found.raws == [mail()]
    assert [why for _, why, _ in found.skipped] == [
        f"is {what}, not read"
        for what in (
            "a link",
            "a link",
            "a device",
            "a device",
            "a FIFO",
            "of an unknown type",
            "a sparse file",
        )
    ]
    assert not any(failed for _, _, failed in found.skipped)


def test_a_link_in_a_zip(walk, put, mail):
    link = zipfile.ZipInfo("link.eml")
    link.external_attr = 0o120777 << 16
    put("a.zip", zipped((link, b"/etc/passwd"), ("z.eml", mail())))
    found = walk()
    assert found.raws == [mail()]
    assert found.skipped == [("a.zip: link.eml", "is a link, not read", False)]


def test_an_archive_in_an_archive_is_not_entered(walk, put, mail):
    inner = zipped(("x.eml", mail()))
    put("a.tar", tar(("inner.zip", inner), ("z.eml", mail())))
    put("b.zip", zipped(("inner.tar.gz", gzip.compress(tar(("x.eml", mail()))))))
    put("c.zip.gz", gzip.compress(inner))
    found = walk()
    assert found.raws == [mail()]
    assert [source for source, _, _ in found.skipped] == [
        "a.tar: inner.zip",
        "b.zip: inner.tar.gz",
        "c.zip.gz",
    ]
    assert all("inside an archive" in why and failed for _, why, failed in found.skipped)


# Damage: what comes before it is kept, and it is told.


@pytest.mark.parametrize("packing", PACKERS)
def test_truncated(walk, put, packing):
    noise = random.Random(1)
    mails = [b"Subject: %d\n\n%s\n" % (n, noise.randbytes(30_000)) for n in range(70)]
    whole = PACKERS[packing](tar(*((f"{n:02}.eml", raw) for n, raw in enumerate(mails))))
    put(f"a.tar{packing}", whole[: len(whole) * 3 // 4])
    found = walk()
    assert 0 < len(found.mails) < 70
    assert found.raws == mails[: len(found.mails)]
    [(_, why, failed)] = found.skipped
    assert "damaged" in why
    assert f"mails read before that: {len(found.mails)}" in why
    assert failed


@pytest.mark.parametrize(
    "size", [b"-0000000005", b"-1\0", b"0o17\0", b"1_0\0", b"+5\0", b"zz\0", b"\xff" * 12]
)
def test_sizes_that_are_none(walk, put, size):
    for packing, pack in PACKERS.items():
        put(f"a.tar{packing}", pack(header(1, at124=size) + b"x" * 2048))
    found = walk()
    assert found.mails == []
    assert [why.partition(":")[0] for _, why, _ in found.skipped] == ["is damaged"] * 4


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\0" * 3 + b"\x7f" * 8])
def test_a_size_beyond_the_end(walk, put, size):
    put("a.tar", header(1, at124=size) + b"From: x\n")
    put("b.tar", header(1, at124=size, at156=b"L") + b"From: x\n")
    put("c.tar", header(1, at124=size, at156=b"x") + b"From: x\n")
    assert [why.partition(":")[0] for _, why, _ in walk().skipped] == ["is damaged"] * 3


@pytest.mark.parametrize(
    "records",
    [b"99 path=x\n", b"x path=y\n", b"0 \n", b"-1 a=b\n", b"\xb2 a=b\n", b"30 size=-5\n" + b" " * 19],
)
def test_pax_records_that_are_none(walk, put, records):
    put("a.tar", header(0, records, at156=b"x") + records.ljust(512, b"\0") + header(1) + tar())
    assert [why.partition(":")[0] for _, why, _ in walk().skipped] == ["is damaged"]


def test_what_is_no_archive(walk, put):
    for name in ("a.zip", "b.tar"):
        put(name, b"Subject: a mail under another name\n\n" * 100)
    assert [why.partition(":")[0] for _, why, _ in walk().skipped] == ["is damaged or no zip", "is damaged"]


def test_a_damaged_member_of_a_zip_does_not_stop_the_others(walk, put, mail):
    whole = bytearray(zipped(("a.eml", mail(1)), ("b.eml", mail(2)), method=zipfile.ZIP_STORED))
    whole[whole.find(mail(1))] ^= 1
    put("a.zip", bytes(whole))
    found = walk()
    assert found.raws == [mail(2)]
    assert found.skipped == [("a.zip: a.eml", "is damaged: Bad CRC-32 for file 'a.eml'", True)]


def test_an_encrypted_member(walk, put, mail):
    whole = bytearray(zipped(("a.eml", mail(1)), ("b.eml", mail(2))))
    for at in (6, whole.find(b"PK\x01\x02") + 8):
        whole[at] |= 1
    put("a.zip", bytes(whole))
    found = walk()
    assert found.raws == [mail(2)]
    assert found.skipped == [("a.zip: a.eml", "is encrypted", True)]


# Bombs


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("form", ["one mail", "many mails", "no mail"])
def test_ratio(walk, put, mail, packing, form):
    zeros = b"Subject: x\n\n" + b"\0" * 4_000_000
    inner = {
        "one mail": [("a.eml", zeros * 10)],
        "many mails": [(f"{n}.eml", zeros) for n in range(10)],
        "no mail": [("a.log", b"\0" * 40_000_000)],
    }[form]
    put(f"a.tar{packing}", PACKERS[packing](tar(*inner)))
    put("b.eml", mail())
    found = walk()
    assert found.raws[-1] == mail()
    assert ["more than 100 times its size" in why for _, why, _ in found.skipped] == [True]


def test_ratio_of_a_zip(walk, put, mail):
    zeros = b"Subject: x\n\n" + b"\0" * 4_000_000
    put("a.zip", zipped(("bomb.eml", zeros), ("z.eml", mail())))
    found = walk()
    assert found.raws == [mail()]
    assert [(source, "100 times" in why) for source, why, _ in found.skipped] == [("a.zip: bomb.eml", True)]


def test_members_of_a_zip_that_share_their_bytes(walk, put):
    """Each is within the ratio, all together unpack to far more than the file could hold."""
    noise = random.Random(1)
    content = b"Subject: x\n\n" + noise.randbytes(20_000) * 40
    one = zipped(("a.eml", content))
    directory = one[one.find(b"PK\x01\x02") : one.rfind(b"PK\x05\x06")]
    end = bytearray(one[one.rfind(b"PK\x05\x06") :])
    many = 500
    struct.pack_into("<HHI", end, 8, many, many, len(directory) * many)
    put("a.zip", one[: one.find(b"PK\x01\x02")] + directory * many + end)
    found = walk()
    assert 0 < len(found.mails) < many
    assert "an archive bomb?" in found.skipped[-1][1]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound(walk, put, mail, method):
    """The size that the header tells is a lie: zipfile would unpack 200 MB to give us 20 kB."""
    whole = bytearray(zipped(("a.eml", b"\0" * 2_000_000), ("b.eml", mail()), method=method))
    for at in (22, whole.find(b"PK\x01\x02") + 24):
        struct.pack_into("<I", whole, at, 1000)
    found = walk(put("a.zip", bytes(whole)))
    assert found.mails == []
    assert all("packed by a method not read here" in why for _, why, _ in found.skipped)


def test_a_size_told_too_small(walk, put):
    whole = bytearray(zipped(("a.eml", b"Subject: x\n\n" + b"\0" * 4_000_000)))
    for at in (22, whole.find(b"PK\x01\x02") + 24):
        struct.pack_into("<I", whole, at, 1000)
    put("a.zip", bytes(whole))
    assert [why.partition(":")[0] for _, why, _ in walk().skipped] == ["is damaged"]


def test_a_directory_too_large_for_memory(walk, put):
    whole = bytearray(zipped(("a.eml", b"Subject: x\n\n")))
    end = whole.rfind(b"PK\x05\x06")
    struct.pack_into("<II", whole, end + 12, 2**31, 0)
    with put("a.zip", b"").open("wb") as file:
        file.truncate(2**31)
        file.seek(0, 2)
        file.write(whole[end:])
    [(_, why, _)] = walk().skipped
    assert why.endswith("a directory of 2,147,483,648 bytes: split it into smaller archives")


@pytest.mark.parametrize("flag", [b"L", b"x"])
def test_a_header_too_large_for_memory(walk, put, mail, flag):
    long = b"100000 path=" + b"x" * 99_987 + b"\n"
    block = header(0, at124=b"%011o\0" % len(long), at156=flag)
    put("a.tar", block + long + b"\0" * (-len(long) % 512) + tar(("a.eml", mail())))
    [(_, why, _)] = walk().skipped
    assert why == "is damaged: a header of 100000 bytes is longer than any real one"


def test_an_xz_that_asks_for_too_much_memory(walk, put):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**28, "preset": 0}]
    put("a.mbox.xz", lzma.compress(MBOX, filters=filters))
    assert [why for _, why, _ in walk().skipped] == ["is damaged: Memory usage limit exceeded"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_number_of_members(walk, put, mail, name):
    inner = [(f"{n}.eml", mail(n)) for n in range(8)]
    put(
        name,
        zipped(*inner) if name == "a.zip" else PACKERS[name.removeprefix("a.tar")](tar(*inner)),
    )
    found = walk(limits=Limits(archive_mails=5))
    assert found.raws == [mail(n) for n in range(5)]
    [(source, why, failed)] = found.skipped
    assert (source, failed) == (name, True)
    assert why.startswith("holds more than 5 files: split it")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_total_size(walk, put, name):
    inner = [(f"{n}.eml", b"Subject: x\n\n" + random.Random(n).randbytes(50_000)) for n in range(8)]
    put(
        name,
        zipped(*inner) if name == "a.zip" else PACKERS[name.removeprefix("a.tar")](tar(*inner)),
    )
    found = walk(limits=Limits(archive=200_000))
    assert 1 <= len(found.mails) <= 4
    assert found.skipped[0][2]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_member_over_the_limit_keeps_its_head(walk, put, mail, name):
    long = b"Subject: long\n\n" + random.Random(1).randbytes(5000)
    inner = [("a.eml", long), ("b.eml", mail())]
    put(name, zipped(*inner) if name == "a.zip" else gzip.compress(tar(*inner)))
    found = walk(limits=Limits(mail=1000))
    assert [(one.raw, one.truncated) for one in found.mails] == [(long[:1000], True), (mail(), False)]


PEAK = """
import sys
from dsn_processor.intake.archives import mails
from dsn_processor.intake.walk import Walk
before = peak()
for item in Walk(sys.argv[1:]): pass
print(peak() - before)
"""


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
def test_memory_stays_flat(put, packing, peak):
    """64 MB of mails, each alike, but for the ratio's sake not too much."""
    noise = random.Random(1)
    raw = b"Subject: x\n\n" + noise.randbytes(8000) + b"\0" * 56_000
    path = put(f"a.tar{packing}", PACKERS[packing](tar(*((f"{n}.eml", raw) for n in range(1000)))))
    ran = subprocess.run(
        [sys.executable, "-c", peak + PEAK, path], capture_output=True, check=True, text=True
    )
    assert int(ran.stdout) < 40


def test_mutated_archives_never_raise(tmp_path, members):
    """Whatever stands in them, they give mails or a reason."""
    noise = random.Random(7)
    whole = [pack(tar(*members)) for pack in PACKERS.values()]
    whole += [
        tar(*members, form=tarfile.GNU_FORMAT),
        zipped(*members),
        zipped(*members, method=zipfile.ZIP_STORED),
    ]
    path = tmp_path / "a"
    outcomes = set()
    for number in range(1500):
        content = bytearray(whole[number % len(whole)])
        for _ in range(noise.randint(1, 8)):
            at = noise.randrange(len(content))
            content[at] = noise.choice([0, 0x7F, 0x80, 0xFF, 0x2D, content[at] ^ (1 << noise.randrange(8))])
        path.write_bytes(content[: noise.randrange(len(content))] if number % 5 == 0 else content)
        outcomes.update(isinstance(item, InboundMessage) for item in Walk([str(path)], Limits(mail=10**6)))
    assert outcomes == {True, False}
