# SPDX-License-Identifier: GPL-2.0-or-later
"""What zkern does in the VM: the device, netlink, instances."""

import json
import threading

from cli import (BAD_VERSION, CONNECTION, EXISTS, NO_AUTH, NO_NODE,
                 NOT_EMPTY, NOT_OFFERED, STALE, TIMEOUT, USAGE, check, equal)


def reads_device(server, z):
    """Written over TCP, read over the device: the same node at its zxid."""
    made = z.json("create", "-p", "/dev/a", "hello", "--tcp", "127.0.0.1:2181")
    equal(made["via"], "tcp")
    equal(z("get", "/dev/a"), "hello")
    o = z.json("get", "/dev/a")
    equal((o["via"], o["state"]), ("device", "standalone"))
    check(isinstance(o["age_ms"], int), o)
    check(o["zxid"] >= made["stat"]["czxid"] == o["stat"]["czxid"], o)
    tcp = z.json("--tcp", "127.0.0.1:2181", "get", "/dev/a")
    equal((tcp["via"], tcp["stat"], tcp["data"]),
          ("tcp", o["stat"], o["data"]))


def reads_netlink(server, z):
    o = z.json("get", "--netlink", "/dev/a")
    d = z.json("get", "/dev/a")
    equal(o["via"], "netlink")
    equal((o["data"], o["stat"]), (d["data"], d["stat"]))
    equal(z("ls", "--netlink", "/dev"), "a\n")
    equal(z("stat", "--netlink", "/nope", code=NO_NODE),
          "zkern: /nope: no such znode")


def lists(server, z):
    for i in range(5):
        z("create", "-p", "/dev/l/n%d" % i, "x" * i)
    equal(z("ls", "/dev/l"), "n0\nn1\nn2\nn3\nn4\n")
    o = z.json("ls", "-l", "/dev/l")
    equal([c["stat"]["dataLength"] for c in o["children"]], [0, 1, 2, 3, 4])
    want = {"/dev/l"} | {"/dev/l/n%d" % i for i in range(5)}
    for way in ([], ["--netlink"], ["--tcp", "127.0.0.1:2181"]):
        equal(set(z("ls", "-R", "/dev/l", *way).split()), want, way)
    z("ls", "/nope", code=NO_NODE)


def dumps(server, z):
    z("create", "-p", "/dev/d/tab", "a\tb\\c\nd")
    for way in ([], ["--netlink"]):
        lines = z("dump", "/dev/d", *way).splitlines()
        check(lines[0].startswith("# zxid 0x"), lines)
        equal(lines[1:], ["/dev/d\t", "/dev/d/tab\ta\\tb\\\\c\\nd"], way)
    got = [json.loads(x) for x in z("dump", "--json", "/dev/d").splitlines()]
    equal([o["path"] for o in got], ["/dev/d", "/dev/d/tab"])
    equal(len({o["zxid"] for o in got}), 1, "one zxid")
    equal(got[1]["data"], "a\tb\\c\nd")
    z("dump", "/nope", code=NO_NODE)


def access(server, z):
    z("--auth", "digest:u:p", "create", "--acl", "auth::cdrwa", "/dev/priv",
      "x")
    z("get", "/dev/priv", code=NO_AUTH)
    equal(z.json("stat", "/dev/priv")["stat"]["dataLength"], 1)
    check("/dev/priv\t\\?" in z("dump", "/dev/priv"), "withheld in a dump")
    z("--device", "0", "--auth", "digest:u:p", "get", "/dev/priv", code=USAGE)
    equal(z("--auth", "digest:u:p", "get", "/dev/priv"), "x", "over TCP")


def freshness(server, z):
    now = z.json("stat", "/")["zxid"]
    z("get", "--min-zxid", str(now), "/dev/a")
    z("get", "--min-zxid", str(now + 1000000), "--timeout", "0.5", "/dev/a",
      code=9)
    z("get", "--max-age", "3600", "/dev/a")
    # a single server: nobody is to be asked
    equal(z("get", "--linearizable", "/dev/a"), "hello")
    z("stat", "--linearizable", "/dev/a")
    z("ls", "--linearizable", "/dev")
    z("ls", "-R", "--linearizable", "/dev")


def writes(server, z):
    """Without being told otherwise, over the device."""
    made = z.json("create", "-p", "/dev/w/x", "1")
    equal(made["via"], "device")
    tcp = z.json("--tcp", "127.0.0.1:2181", "get", "/dev/w/x")
    equal((tcp["stat"], tcp["data"]), (made["stat"], "1"))
    z("--device", "0", "set", "/dev/w/x", "2")
    equal(z("get", "/dev/w/x"), "2")
    z("create", "/dev/w/x", "3", code=EXISTS)
    z("set", "-v", "7", "/dev/w/x", "3", code=BAD_VERSION)
    equal(z("create", "-s", "/dev/w/s-"), "/dev/w/s-0000000001\n")
    z("delete", "/dev/w", code=NOT_EMPTY)
    z("delete", "-r", "/dev/w")
    z("get", "/dev/w", code=NO_NODE)
    z("set", "/dev/w", "x", code=NO_NODE)


def not_offered(server, z):
    check("device" in z("--netlink", "watch", "/dev/a", code=NOT_OFFERED),
          "the text says what to do")
    z("--netlink", "set", "/dev/a", "x", code=NOT_OFFERED)


def watches(server, z):
    """Over the device, and over TCP beside it: the same lines."""
    z("create", "-p", "/dev/w/a", "1")
    for way in ([], ["--tcp", "127.0.0.1:2181"]):
        got = []
        t = threading.Thread(target=lambda: got.append(
            z("watch", "-r", "-n", "4", "/dev/w", *way)))
        t.start()
        # until it watches, nothing is told: so again and again
        while t.is_alive():
            z("set", "/dev/w/a", "2")
            z("create", "/dev/w/b", "")
            z("delete", "/dev/w/b")
        t.join()
        lines = got[0].splitlines()
        cycle = ["changed /dev/w/a", "created /dev/w/b", "deleted /dev/w/b"]
        first = cycle.index(lines[0])
        equal(lines, [cycle[(first + i) % 3] for i in range(4)], way)


def instances(server, z):
    z("--device", "200", "get", "/", code=CONNECTION)
    n = z("instance", "new").strip()
    lines = [x.split("\t") for x in z("instance", "list").splitlines()]
    check([n, "empty", "0x0"] in [x[:3] for x in lines], lines)
    check("0" in [x[0] for x in lines], lines)
    z("instance", "new", n, code=EXISTS)
    z("--device", n, "get", "/", code=STALE)
    z("instance", "del", n)
    z("instance", "del", n, code=CONNECTION)
    check("owner" in z("instance", "del", "0", code=11), "it has an owner")
    equal(z.json("instance", "new", n), {"instance": int(n)})
    z("instance", "del", n)


def status(server, z):
    text = z("status", "--device", "0")
    check("/dev/zkern0" in text and "standalone" in text, text)
    o = z.json("status", "--device", "0")
    equal((o["instance"], o["state"], o["owner_pid"]),
          (0, "standalone", server.pid))
    check(o["nodes"] >= 5 and o["bytes"] > 0 and o["zxid"] > 0, o)
    check("/dev/zkern0" in z("status"), "all instances")
    equal(z.json("status", "--tcp", "127.0.0.1:2181")["mode"], "standalone")


def daemon_gone(server, z):
    """Reads go on without the daemon and say so."""
    server.kill()
    o = z.json("get", "/dev/a")
    equal((o["data"], o["state"]), ("hello", "orphaned"))
    equal(z.json("status", "--device", "0")["owner_pid"], 0)
    check("no answer" in z("set", "--timeout", "0.5", "/dev/a", "x",
                           code=TIMEOUT), "a write waits for a daemon")
    import time
    time.sleep(0.3)
    z("get", "--max-age", "0.2", "/dev/a", code=STALE)
    z("get", "--linearizable", "/dev/a", code=STALE)
    server.start()
    equal(z.json("get", "/dev/a")["state"], "standalone")


TESTS = [reads_device, reads_netlink, lists, dumps, access, freshness,
         writes, not_offered, watches, instances, status, daemon_gone]
