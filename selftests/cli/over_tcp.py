# SPDX-License-Identifier: GPL-2.0-or-later
"""What zkern does over TCP, the same against Apache ZooKeeper and zkernd."""

import base64
import os
import time

from cli import (BAD_VERSION, CONNECTION, EXISTS, NO_AUTH, NO_NODE,
                 NOT_EMPTY, NOT_OFFERED, USAGE, Background, Cli, check, equal)
from zktest import proc
from zktest.server import ZKERN

MAPPED = os.path.join(os.path.dirname(ZKERN), "selftests/cli/mapped_tcp")
STAT_FIELDS = {"czxid", "mzxid", "pzxid", "ctime", "mtime", "version",
               "cversion", "aversion", "ephemeralOwner", "dataLength",
               "numChildren"}


def write_file(data):
    path = os.path.join(proc.temp_dir("data-"), "data")
    with open(path, "wb") as f:
        f.write(data)
    return path


def create_get(server, z):
    equal(z("create", "/cg", "hello"), "/cg\n")
    equal(z("get", "/cg"), "hello", "the data, and nothing else")
    z("set", "/cg", "hello again")
    equal(z("get", "/cg"), "hello again")
    z("delete", "/cg")
    check("/cg: no such znode" in z("get", "/cg", code=NO_NODE), "the text")


def parents(server, z):
    line = z("create", "/p/q/r", "x", code=NO_NODE)
    check("parent" in line and "-p" in line, line)
    z("create", "-p", "/p/q/r", "x")
    equal(z("ls", "/p"), "q\n")
    equal(z("ls", "-R", "/p"), "/p\n/p/q\n/p/q/r\n")
    z("create", "-p", "/p/q/s")
    equal(z("ls", "/p/q"), "r\ns\n", "sorted")
    check("has children" in z("delete", "/p", code=NOT_EMPTY), "the text")
    z("delete", "-r", "/p")
    z("stat", "/p", code=NO_NODE)


def exit_codes(server, z):
    z("create", "/codes", "1")
    z("create", "/codes", code=EXISTS)
    z("set", "-v", "7", "/codes", "2", code=BAD_VERSION)
    z("set", "-v", "0", "/codes", "2")
    z("delete", "-v", "0", "/codes", code=BAD_VERSION)
    z("delete", "-v", "1", "/codes")
    z("set", "/codes", "x", code=NO_NODE)
    z("delete", "/codes", code=NO_NODE)
    z("ls", "/codes", code=NO_NODE)


def usage(server, z):
    for args in (("get",), ("get", "/a", "/b"), ("frob",), ("get", "--frob"),
                 ("get", "relative"), ("get", "/a/"), ("get", "/a//b"),
                 ("get", "/a/../b"), ("get", "/a\nb"), ("create",),
                 ("set", "/a"), ("delete", "/"), ("--timeout", "x", "get", "/"),
                 ("--timeout",), ("set", "-v", "x", "/a", "b"),
                 ("create", "-t", "0", "/a"), ("create", "--acl", "x", "/a"),
                 ("create", "-e", "-c", "/a"), ("instance", "frob"),
                 ("instance", "del"), ("help", "frob"), ("--auth", "x", "get", "/"),
                 ("create", "/a", "b", "--file", "/nonexistent"),
                 ("create", "/a", "--file", "/nonexistent")):
        z(*args, code=USAGE)


def helps(server, z):
    text = z("--help")
    for name in ("get", "ls", "stat", "create", "set", "delete", "watch",
                 "dump", "status", "instance", "log", "snapshot", "elect"):
        check(" %s " % name in text, name + " is not in --help")
        of = z("help", name)
        equal(z(name, "--help"), of, "two ways to a command's help")
        check("Usage: zkern " + name in of, name + ": no usage line")
        check("Examples:" in of, name + ": no examples")
    check("no such znode" in z("help", "exit"), "help exit")


def json_get(server, z):
    z("create", "/json", "gr\u00fc\u00df")
    o = z.json("get", "/json")
    equal(o["path"], "/json")
    equal((o["data"], o["encoding"]), ("gr\u00fc\u00df", "utf-8"))
    equal((o["via"], o["state"], o["age_ms"]), ("tcp", None, None))
    equal(set(o["stat"]), STAT_FIELDS)
    equal(o["stat"]["dataLength"], 6)
    equal(o["stat"]["version"], 0)
    equal(o["stat"]["ephemeralOwner"], "0x0")
    check(o["zxid"] >= o["stat"]["mzxid"] == o["stat"]["czxid"] > 0, o)
    check(abs(o["stat"]["ctime"] / 1000 - time.time()) < 600, o)
    s = z.json("set", "/json", "2")
    equal(s["stat"]["version"], 1)
    equal(z.json("stat", "/json")["stat"], s["stat"])
    z("delete", "/json")


def json_bytes(server, z):
    raw = bytes(range(256)) * 3
    z("create", "/bytes", "--file", write_file(raw))
    o = z.json("get", "/bytes")
    equal(o["encoding"], "base64")
    equal(base64.b64decode(o["data"]), raw)
    z("set", "/bytes", "--file", write_file(b"a\0b"))
    o = z.json("get", "/bytes")
    equal((o["data"], o["encoding"]), ("a\0b", "utf-8"))
    z("set", "/bytes", "")
    o = z.json("get", "/bytes")
    equal((o["data"], o["encoding"]), ("", "utf-8"), "empty")
    z("set", "--null", "/bytes")
    o = z.json("get", "/bytes")
    equal((o["data"], o["encoding"]), (None, None), "null")
    z("delete", "/bytes")


def big_data(server, z):
    raw = os.urandom(900 * 1000)
    z("create", "/big", "--file", write_file(raw))
    equal(base64.b64decode(z.json("get", "/big")["data"]), raw)
    z("delete", "/big")


def json_ls(server, z):
    for i in range(3):
        z("create", "-p", "/jl/n%d" % i, "x" * i)
    o = z.json("ls", "/jl")
    equal(o["children"], ["n0", "n1", "n2"])
    o = z.json("ls", "-l", "/jl")
    equal([(c["name"], c["stat"]["dataLength"]) for c in o["children"]],
          [("n0", 0), ("n1", 1), ("n2", 2)])
    equal(z.json("ls", "-R", "/jl")["paths"],
          ["/jl", "/jl/n0", "/jl/n1", "/jl/n2"])
    z("delete", "-r", "/jl")


def text_stat(server, z):
    z("create", "/ts", "abc")
    lines = dict(x.split(None, 1) for x in z("stat", "/ts").splitlines())
    check(STAT_FIELDS < set(lines), lines)
    equal((lines["dataLength"], lines["via"]), ("3", "tcp"))
    got = z("get", "--stat", "/ts")
    check(got.startswith("abc\nczxid "), got)
    z("delete", "/ts")


def kinds(server, z):
    first = z("create", "-p", "-s", "/kinds/s-").strip()
    second = z("create", "-s", "/kinds/s-").strip()
    equal(len(first), len("/kinds/s-") + 10, first)
    check(first < second, "sequential names grow")
    z("create", "-c", "/kinds/c")
    z("create", "-t", "3600", "/kinds/t")
    equal(z.json("stat", "/kinds/t")["stat"]["ephemeralOwner"], "0x0")
    z("create", "-s", "-t", "3600", "/kinds/ts-")
    z("delete", "-r", "/kinds")


def ephemeral(server, z):
    b = Background(server.address, "create", "-e", "/eph", "here")
    b.until(lambda: b.out() == "/eph\n", "the ephemeral")
    check(z.json("stat", "/eph")["stat"]["ephemeralOwner"] != "0x0", "owner")
    # It is held: well beyond the session's timeout there are pings.
    check("children" in z("create", "/eph/x", code=11), "no children")
    b.interrupt()
    z("stat", "/eph", code=NO_NODE)


def acl(server, z):
    me = Cli("--tcp", server.address, "--auth", "digest:me:secret")
    me("create", "--acl", "auth::cdrwa", "/acl", "mine")
    equal(me("get", "/acl"), "mine")
    check("permission" in z("get", "/acl", code=NO_AUTH), "the text")
    z("set", "/acl", "x", code=NO_AUTH)
    Cli("--tcp", server.address, "--auth", "digest:me:wrong")(
        "get", "/acl", code=NO_AUTH)
    Cli("--tcp", server.address, "--auth", "nosuch:x")(
        "get", "/acl", code=NO_AUTH)
    me("create", "--acl", "world:anyone:r", "--acl", "digest:a:b=:cdrwa",
       "/acl2", "x")
    equal(z("get", "/acl2"), "x")
    z("set", "/acl2", "y", code=NO_AUTH)
    z("delete", "/acl2")
    me("delete", "/acl")


def watch(server, z):
    b = Background(server.address, "watch", "-n", "4", "/w")
    b.until(lambda: "watching /w" in b.err(), "the watch")
    z("create", "/w", "1")
    z("set", "/w", "2")
    z("create", "/w/child")
    z("delete", "/w/child")
    b.ends()
    equal(b.out(), "created /w\nchanged /w\nchildren /w\nchildren /w\n")
    z("delete", "/w")


def watch_subtree(server, z):
    b = Background(server.address, "watch", "-r", "--json", "-n", "3", "/wr")
    b.until(lambda: "watching /wr" in b.err(), "the watch")
    z("create", "-p", "/wr/a")
    z("delete", "/wr/a")
    b.ends()
    import json
    got = [json.loads(x) for x in b.out().splitlines()]
    equal([(o["event"], o["path"]) for o in got],
          [("created", "/wr"), ("created", "/wr/a"), ("deleted", "/wr/a")])
    z("delete", "/wr")


def watch_ends(server, z):
    b = Background(server.address, "watch", "/we")
    b.until(lambda: "watching /we" in b.err(), "the watch")
    b.interrupt()
    equal(b.out(), "")


def watch_through_restart(server, z):
    b = Background(server.address, "watch", "-n", "1", "/wt")
    b.until(lambda: "watching /wt" in b.err(), "the watch")
    server.restart(crash=True)
    b.until(lambda: "connected again" in b.err(), "the new connection")
    z("create", "/wt", "x")
    b.ends()
    equal(b.out(), "created /wt\n")
    z("delete", "/wt")


def mapped(server, z):
    """libzkern's mapped nodes without a device."""
    status, out, err = proc.run([MAPPED, server.address])
    equal((status, out, err), (0, "", ""), "mapped_tcp")


def status(server, z):
    check("Mode: standalone" in z("status"), "srvr's words")
    equal(z.json("status")["mode"], "standalone")


def not_offered(server, z):
    z("dump", "/", code=NOT_OFFERED)
    z("get", "--max-age", "1", "/", code=NOT_OFFERED)


def no_server(server, z):
    nobody = Cli("--tcp", "127.0.0.1:%d" % proc.free_port(), "--timeout", "2")
    check("refused" in nobody("get", "/", code=CONNECTION), "the text")
    nobody("status", code=CONNECTION)
    Cli("--tcp", "nonsense:x:y")("get", "/", code=CONNECTION)
    Cli("--device", "/dev/null")("get", "/", code=CONNECTION)
    Cli("--device", "255")("get", "/", code=CONNECTION)
    # The second of two is tried when the first is down.
    both = Cli("--tcp", "127.0.0.1:%d,%s" % (proc.free_port(), server.address))
    check("zookeeper" in both("ls", "/"), "the second server")


TESTS = [create_get, parents, exit_codes, usage, helps, json_get, json_bytes,
         big_data, json_ls, text_stat, kinds, ephemeral, acl, watch,
         watch_subtree, watch_ends, watch_through_restart, mapped,
         status, not_offered, no_server]
