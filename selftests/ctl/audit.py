# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit log, line by line beside Apache ZooKeeper's."""

import os
import re
import time
import signal

from common import PATIENCE, Daemon, daemon, equal
from zktest import proc, wire
from zktest.jute import ACL, OPEN_ACL, Out
from zktest.server import ApacheServer

APACHE = "INFO|ERROR) org.apache.zookeeper.audit.Slf4jAuditLogger - "


class Control(ApacheServer):
    """Debian's Apache ZooKeeper, whose logger shows the audit's lines."""

    def command(self, cfg):
        args = super().command(cfg)
        return args[:-2] + ["-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper."
                            "audit=info"] + args[-2:]


def multi(*ops):
    return wire.MULTI, wire.b_multi(list(ops))


def create(path, flags=wire.PERSISTENT, acl=OPEN_ACL, op=wire.CREATE):
    return op, wire.b_create(path, b"x", [ACL(*a) for a in acl], flags)


def set_acl(path, *acl):
    return wire.SET_ACL, wire.b_set_acl(path, [ACL(*a) for a in acl])


def delete(path, version=-1):
    return wire.DELETE, wire.b_path_int(path, version)


def set_data(path, version=-1):
    return wire.SET_DATA, wire.b_set_data(path, b"y", version)


REQUESTS = [
    create("/a"), create("/a"), create("/a/b/c"), create("/no-slash/", 0),
    create("/a/e", wire.EPHEMERAL), create("/a/s-", wire.SEQ),
    create("/a/es-", wire.EPHEMERAL_SEQ), create("/a/c", wire.CONTAINER, op=wire.CREATE_CONTAINER),
    create("/a/two", op=wire.CREATE2), create("/a/two", op=wire.CREATE2),
    create("/a/bad", 99), create("/a/acl", acl=[(31, "nosuch", "x")]),
    (wire.CREATE_TTL, wire.b_create_ttl("/a/ttl")),
    (wire.CREATE, b"\0\0\0\x09short"),
    set_data("/a"), set_data("/a", 17), set_data("/none"), (wire.SET_DATA, b"\0"),
    set_acl("/a", (31, "world", "anyone")),
    set_acl("/a", (1, "world", "anyone"), (6, "ip", "127.0.0.1"), (31, "auth", "")),
    set_acl("/a", (31, "world", "anyone")),
    set_acl("/none", (31, "world", "anyone")), set_acl("/a", (31, "nosuch", "x")), set_acl("/a"),
    delete("/a/two", 5), delete("/a/two"), delete("/a/two"), delete("/a"), delete("/"),
    multi(create("/m"), create("/m/1", op=wire.CREATE2), set_data("/m"),
          (wire.CHECK, wire.b_path_int("/m", 1)), delete("/m/1"),
          create("/m/s-", wire.SEQ), create("/m/e", wire.EPHEMERAL),
          create("/m/cont", wire.CONTAINER, op=wire.CREATE_CONTAINER),
          (wire.CREATE_TTL, wire.b_create_ttl("/m/ttl"))),
    multi(create("/m/x"), delete("/m/none")), multi(delete("/m/none"), create("/m/y")),
    multi(), multi((wire.CHECK, wire.b_path_int("/m", -1))),
    multi((wire.CHECK, wire.b_path_int("/m", 77))), (wire.MULTI, b"\0\0\0\1"),
    multi(create("/m/t"), delete("/m/t"), create("/m/t", wire.EPHEMERAL)),
    (wire.GET_DATA, wire.b_path_watch("/m")), (wire.SYNC, wire.b_path("/m")),
    (wire.CHECK, wire.b_path_int("/m", 77)),
    (wire.RECONFIG, Out().string("").string("").string("").long(-1).bytes()),
]


def script(server):
    """Everything that has, or might have, a line."""
    c = wire.Client(server.host, server.port, 40000)
    for op, body in REQUESTS:
        c.call(op, body)
    c.call(wire.AUTH, wire.b_auth("digest", b"joe:secret"), xid=wire.XID_AUTH)
    c.call(*create("/joe", acl=[(31, "auth", "")]))
    c.call(*set_acl("/joe", (31, "auth", "")))
    c.call(*create("/joe/x"))
    d = wire.Client(server.host, server.port, 40000)
    d.call(*create("/joe/y"))
    d.call(*delete("/joe/x"))
    d.call(*create("/d-last", wire.EPHEMERAL))
    sids = [c.sid, d.sid]
    c.close_session()
    d.close_session()
    return sids


def lines_of(text, sids, pattern):
    """(level, the line's fields), sessions by number, a set's order made one."""
    out = []
    for m in re.finditer("(" + pattern + "(.*)", text):
        line = m.group(2)
        for i, sid in enumerate(sids):
            line = line.replace("session=0x%x\t" % sid, "session=%d\t" % i)
        line = re.sub("\tuser=([^\t]*)",
                      lambda u: "\tuser=" + ",".join(sorted(u.group(1).split(","))), line)
        out.append((m.group(1), line))
    # a session's ephemerals go in no order
    flat, run = [], []
    for x in out + [None]:
        if x and "ephemeralZNodeDeletion" in x[1]:
            run.append(x)
            continue
        flat += sorted(run)
        run = []
        if x:
            flat.append(x)
    return flat


def run_script(server):
    try:
        server.start()
        sids = script(server)
        assert server.stop(), "ends"
        return sids, server.log_text(1 << 20)
    finally:
        server.remove()


def beside_control():
    """The same lines as Apache ZooKeeper's, in its order."""
    config = {"audit.enable": "true", "extendedTypesEnabled": "true"}
    sids, text = run_script(Control(config=config))
    want = lines_of(text, sids, APACHE)
    sids, text = run_script(Daemon(config=config))
    got = lines_of(text, sids, r"INFO|ERROR) \[[^]]*\] audit.Slf4jAuditLogger: ")
    assert len(want) > 45, "too few lines of the control's: %d" % len(want)
    print("# %d lines" % len(want), flush=True)
    if got != want:
        import difflib
        for x in difflib.unified_diff([" ".join(w) for w in want],
                                      [" ".join(g) for g in got],
                                      "control", "zkernd", lineterm="", n=1):
            print("# " + x, flush=True)
    assert got == want


def own_file():
    """To a file of its own, as log4j writes lines; opened anew by HUP."""
    with daemon(start=False, config={"audit.enable": "true"}) as d:
        path = os.path.join(d.work, "audit.log")
        d.extra["zkern.auditFile"] = path
        d.start()
        c = wire.Client(d.host, d.port, 40000)
        c.call(*create("/a"))
        c.call(*create("/a"))
        d.wait_log("result=failure\n", path)
        with open(path) as f:
            lines = f.read().splitlines()
        stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
        equal(len(lines), 3, "lines")
        assert re.match(stamp + "INFO audit.Slf4jAuditLogger: user=\\S+\t"
                        "operation=serverStart\tresult=success$", lines[0]), lines
        assert re.match(stamp + "INFO audit.Slf4jAuditLogger: session=0x%x\t"
                        "user=127.0.0.1\tip=127.0.0.1\toperation=create\tznode=/a\t"
                        "znode_type=persistent\tresult=success$" % c.sid, lines[1]), lines
        assert re.match(stamp + "ERROR audit.Slf4jAuditLogger: .*result=failure$",
                        lines[2]), lines
        assert "Slf4jAuditLogger" not in d.log_text(), "in the log, too"
        os.rename(path, path + ".1")
        d.signal(signal.SIGHUP)
        proc.wait_for(lambda: os.path.exists(path), PATIENCE, "a new file")
        c.call(*create("/b"))
        d.wait_log("znode=/b\t", path)
        assert d.stop()
        d.wait_log("operation=serverStop\tresult=invoked\n", path)


def off():
    """Without audit.enable there is none."""
    with daemon() as d:
        c = wire.Client(d.host, d.port, 40000)
        c.call(*create("/a"))
        assert "Slf4jAuditLogger" not in d.log_text()


def forged():
    """Nobody makes a field, or a line, of his own."""
    with daemon(config={"audit.enable": "true"}) as d:
        c = wire.Client(d.host, d.port, 40000)
        c.call(*create("/x\tresult=success\nuser=root\x7f\\"))
        c.call(wire.AUTH, wire.b_auth("digest", b"a\tip=1.2.3.4\n:pw"), xid=wire.XID_AUTH)
        c.call(*create("/y"))
        c.call(*set_acl("/y", (31, "digest", "a\tb\n:x")))
        d.wait_log("operation=setAcl")
        lines = [x for x in d.log_text().splitlines() if "session=0x" in x]
        equal(len(lines), 3, "lines: %r" % lines)
        assert "znode=/x\\u0009result=success\\u000auser=root\\u007f\\\tznode_type=" in \
            lines[0], lines[0]
        users = re.search("\tuser=([^\t]*)\tip=127.0.0.1\t", lines[1]).group(1)
        equal(sorted(users.split(",")), ["127.0.0.1", "a\\u0009ip=1.2.3.4\\u000a"], "users")
        assert "acl=digest:a\\u0009b\\u000a:x:cdrwa\t" in lines[2], lines[2]


def full_disk():
    """A file that cannot be written: lines are lost and counted, or nothing changes."""
    with daemon(config={"audit.enable": "true", "zkern.auditFile": "/dev/full"}) as d:
        c = wire.Client(d.host, d.port, 40000)
        c.call(*create("/a"))
        d.wait_log("audit: /dev/full: No space left on device: lines are lost")
    with daemon(start=False, config={"audit.enable": "true",
                                     "zkern.auditFull": "stall"}) as d:
        fifo = os.path.join(d.work, "audit")
        os.mkfifo(fifo)
        r = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        d.extra["zkern.auditFile"] = fifo
        d.start()
        c = wire.Client(d.host, d.port, 40000)
        name, n, answered = "/" + "n" * 4000, 1500, 0
        for i in range(n):
            c.send(*create("%s%d" % (name, i)))
        try:
            while answered < n:
                equal(c.recv(2 if answered else PATIENCE).err, 0, "answer")
                answered += 1
        except (TimeoutError, OSError):
            pass
        assert 0 < answered < n, "no stall: %d answers" % answered
        assert d.four_letter("ruok") == "imok"
        lines, rest, end = 0, b"", time.monotonic() + 120
        while answered < n or lines < n:
            assert time.monotonic() < end, "%d answers, %d lines of %d" % (
                answered, lines, n)
            try:
                rest += os.read(r, 1 << 20)
                whole, _, rest = rest.rpartition(b"\n")
                lines += whole.count(b"operation=create")
            except BlockingIOError:
                pass
            if answered < n:
                try:
                    equal(c.recv(0.01).err, 0, "answer")
                    answered += 1
                except (TimeoutError, OSError):
                    pass
        os.close(r)


TESTS = [beside_control, own_file, off, forged, full_disk]
