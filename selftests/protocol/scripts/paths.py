# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths as a raw client can send them, good and bad, to every operation."""

from zktest import wire
from zktest.transcript import eq

BAD = wire.BAD_ARGUMENTS

# Names that no node may have, as bytes below the script's node.  Java's
# decoder makes U+FFFD of bytes that are no UTF-8, and U+FFFD is not allowed;
# neither are surrogates, hence nothing outside the basic plane.
BAD_NAMES = (
    (b"//x", "an empty name"),
    (b"/x/", "a slash at the end"),
    (b"/", "only a slash"),
    (b"/.", "."), (b"/..", ".."), (b"/./x", "./x"), (b"/../x", "../x"),
    (b"/x/.", "x/."), (b"/x/..", "x/.."),
    (b"/a\0b", "NUL"), (b"/\0", "NUL alone"),
    (b"/a\x01", "U+0001"), (b"/a\x1f", "U+001F"), (b"/a\tb", "tab"),
    (b"/a\nb", "newline"), (b"/a\x7f", "DEL"),
    (b"/\xc2\x80", "U+0080"), (b"/\xc2\x9f", "U+009F"),
    (b"/\xed\xa0\x80", "U+D800 in UTF-8"),
    (b"/\xee\x80\x80", "U+E000"), (b"/\xef\xa3\xbf", "U+F8FF"),
    (b"/\xef\xbf\xb0", "U+FFF0"), (b"/\xef\xbf\xbd", "U+FFFD"),
    (b"/\xef\xbf\xbf", "U+FFFF"),
    (b"/\xf0\x9f\x98\x80", "U+1F600"), (b"/\xf4\x8f\xbf\xbf", "U+10FFFF"),
    (b"/\xff", "byte FF"), (b"/a\xc3", "a cut sequence"),
    (b"/\x80", "a continuation alone"), (b"/\xc0\x80", "overlong NUL"),
    (b"/\xc0\xaf", "overlong slash"), (b"/\xe0\x80\xaf", "overlong, 3 bytes"),
    (b"/\xf4\x90\x80\x80", "past U+10FFFF"),
)

GOOD_NAMES = (
    (b"/...", "..."), (b"/.x", ".x"), (b"/x.", "x."), (b"/..x", "..x"),
    (b"/x..y", "x..y"), (b"/ ", "a space"), (b"/~", "~"),
    (b"/\xc2\xa0", "U+00A0"), (b"/\xcf\x80", "pi"),
    (b"/\xed\x9f\xbf", "U+D7FF"), (b"/\xef\xa4\x80", "U+F900"),
    (b"/\xef\xbf\xaf", "U+FFEF"), (b"/\xe2\x80\xa8", "U+2028"),
    (b"/" + b"n" * 255, "255 bytes"), (b"/" + b"n" * 5000, "5000 bytes"),
    (b"/%s%n\\", "signs"),
)

ROOTLESS = (b"", b"a", b"a/b", b".", b"..", b"\0", b"\xff")


def t_good_names(t):
    a = t.made_root("a")
    for name, what in GOOD_NAMES:
        p = t.root.encode() + name
        t.note(what)
        r = a.create(p, b"d")
        eq((r.err, r.path), (0, p.decode()), what)
        eq(a.get(p).data, b"d", what)
        eq(a.set(p, b"e").err, 0, what)
        eq(a.set_acl(p, wire.OPEN_ACL).err, 0, what)
        eq(a.children2(p).err, 0, what)
    eq(sorted(a.children(t.root).children),
       sorted(n[1:].decode() for n, _ in GOOD_NAMES))
    for name, what in GOOD_NAMES:
        eq(a.delete(t.root.encode() + name).err, 0, what)


def t_bad_names_create(t):
    a = t.made_root("a")
    for name, what in BAD_NAMES:
        p = t.root.encode() + name
        t.note(what)
        missing = name.count(b"/") > 1 and not name.startswith(b"//") and \
            name not in (b"/x/", b"/x/.", b"/x/..", b"/./x", b"/../x")
        r = a.create(p)
        assert r.err in (BAD, wire.NO_NODE), (what, r.err)
        if not missing and name.count(b"/") == 1:
            eq(r.err, BAD, what)
        r = a.create2(p, flags=wire.EPHEMERAL)
        assert r.err in (BAD, wire.NO_NODE), (what, r.err)
    eq(a.children(t.root).children, [])


def t_bad_names_below_real_nodes(t):
    """With the parent there, so that only the name can be wrong."""
    a = t.made_root("a")
    a.create(t.root + "/x")
    for tail in ("/x/", "/x/.", "/x/..", "/x//", "/x/./", "//x"):
        r = a.create(t.root + tail)
        t.note("%s -> %d" % (tail, r.err))
        assert r.err != 0, tail
    eq(a.children(t.root + "/x").children, [])
    eq(a.create(t.root + "/x/").err, BAD)
    eq(a.create(t.root + "/x/.").err, BAD)
    eq(a.create(t.root + "/x/..").err, BAD)


def t_bad_names_sequential(t):
    """The name is checked with its number: "x/" and ".." are good then."""
    a = t.made_root("a")
    a.create(t.root + "/x")
    eq(a.create(t.root + "/x/", flags=wire.SEQ).path,
       t.root + "/x/0000000000")
    eq(a.create(t.root + "/x/..", flags=wire.SEQ).path,
       t.root + "/x/..0000000001")
    eq(a.create(t.root + "/x/.", flags=wire.SEQ).path,
       t.root + "/x/.0000000002")
    for tail in (b"/x/\0", b"/x/\x01", b"/x/\xff", b"//"):
        r = a.create(t.root.encode() + tail, flags=wire.SEQ)
        assert r.err != 0, tail


def t_rootless(t):
    """Paths that do not begin with a slash."""
    a = t.client("a")
    for p in ROOTLESS:
        t.note("a parent is looked for if there is a slash at all")
        eq(a.create(p).err, wire.NO_NODE if b"/" in p else BAD, p)
        eq(a.delete(p).err, wire.NO_NODE if b"/" in p else BAD, p)
        eq(a.set(p, b"").err, BAD, p)
        eq(a.set_acl(p, wire.OPEN_ACL).err, BAD, p)
        if p:
            eq(a.exists(p).err, BAD if p == b"\0" else wire.NO_NODE, p)
            eq(a.get(p).err, wire.NO_NODE, p)
            eq(a.children(p).err, wire.NO_NODE, p)
            eq(a.children2(p).err, wire.NO_NODE, p)
            eq(a.get_acl(p).err, wire.NO_NODE, p)
        eq(a.sync(p).err, 0, p)
        r = a.multi([(wire.CHECK, wire.b_path_int(p, -1))])
        eq(r.results[0][1], BAD, p)


def t_bad_names_write(t):
    a = t.made_root("a")
    a.create(t.root + "/x")
    for name, what in BAD_NAMES:
        p = t.root.encode() + name
        t.note(what)
        eq(a.set(p, b"").err, BAD, what)
        eq(a.set_acl(p, wire.OPEN_ACL).err, BAD, what)
        r = a.multi([(wire.CHECK, wire.b_path_int(p, -1))])
        eq(r.results[0][1], BAD, what)
        t.note("delete looks for NUL only")
        r = a.delete(p)
        eq(r.err, BAD if b"\0" in name and name != b"/\xc0\x80"
           else wire.NO_NODE, what)


def t_bad_names_read(t):
    """Reads look the path up as it is; only exists minds NUL."""
    a = t.made_root("a")
    a.create(t.root + "/x")
    for name, what in BAD_NAMES:
        p = t.root.encode() + name
        t.note(what)
        eq(a.get(p).err, wire.NO_NODE, what)
        eq(a.children(p).err, wire.NO_NODE, what)
        eq(a.children2(p).err, wire.NO_NODE, what)
        eq(a.get_acl(p).err, wire.NO_NODE, what)
        eq(a.exists(p).err, BAD if b"\0" in name else wire.NO_NODE, what)
        eq(a.sync(p).err, 0, what)


def t_null_paths(t):
    """A path of length -1: an error, and the connection lives on."""
    a = t.made_root("a")
    for r in (a.create(None), a.create2(None), a.delete(None),
              a.exists(None), a.get(None), a.children(None),
              a.children2(None), a.get_acl(None)):
        eq((r.err, r.body), (wire.MARSHALLING, b""))
    t.note("setData and setACL take null for a bad path")
    eq(a.set(None, b"").err, BAD)
    eq(a.set_acl(None, wire.OPEN_ACL).err, BAD)
    eq(a.check_watches(None, wire.W_ANY).err, wire.MARSHALLING)
    eq(a.remove_watches(None, wire.W_ANY).err, wire.NO_WATCHER)
    eq(a.exists(t.root).err, 0)


def t_empty_path_reads_root(t):
    """The root is stored under the empty path, and can be read by it."""
    a = t.client("a")
    eq(a.get("").stat, a.get("/").stat)
    eq(a.children2("").stat, a.children2("/").stat)
    eq(a.exists("").err, 0)
    eq(a.get_acl("").err, 0)
    # what else there is in the root is not this script's
    del t.lines[:]


def t_watch_on_bad_path(t):
    """exists of a path that cannot be sets a watch that never fires."""
    a = t.made_root("a")
    p = t.root + "//x"
    eq(a.exists(p, watch=True).err, wire.NO_NODE)
    eq(a.check_watches(p, wire.W_DATA).err, 0)
    eq(a.create(p).err, wire.NO_NODE)
    eq(a.fence(), [])


def t_long(t):
    """A name of 100,000 bytes."""
    a = t.made_root("a")
    p = t.root + "/" + "long" * 25000
    eq(a.create(p, b"x").path, p)
    eq(a.get(p).data, b"x")
    eq(a.children(t.root).children, ["long" * 25000])
    eq(a.delete(p).err, 0)
