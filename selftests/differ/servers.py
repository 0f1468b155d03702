# SPDX-License-Identifier: GPL-2.0-or-later
"""The two servers of a differential run, and what is done to them between.

Two data directories, each with the server that serves from it; a swap hands
each directory to the other's server.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess

from zktest import proc
from zktest.server import ZKERN, ApacheServer, StartError, fresh, \
    make_server

SUPER = "super:secret"

CONFIG = {
    "snapCount": "20000",
    "extendedTypesEnabled": "true",
    "maxSessionTimeout": "300000",
    # nothing here loses its power; both write the same files with or without
    "forceSync": "no",
    "globalOutstandingLimit": "10000",
    "DigestAuthenticationProvider.superDigest": "super:" + base64.b64encode(
        hashlib.sha1(SUPER.encode()).digest()).decode(),
}

# Of Apache's log, with the zxid in decimal, and of zkernd's.
MISMATCH = re.compile(r"igests are not matching.*Value:(\d+)|"
                      r"igest (?:of the tree|mismatch) at (?:zxid )?"
                      r"(0x[0-9a-f]+)")


WHOLE_TIMEOUT = 1800    # seconds, for a million transactions


def zxid_of(s):
    """The last one that a server has."""
    m = re.search(r"Zxid: (0x[0-9a-f]+)", s.four_letter("srvr"))
    return int(m.group(1), 0)


class Control(ApacheServer):
    """Apache ZooKeeper that says less."""

    start_timeout = 180

    def command(self, cfg):
        c = super().command(cfg)
        quiet = "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server."
        return c[:1] + [quiet + n + "=error" for n in (
            "NIOServerCnxn", "ZooKeeperServer",
            "auth.ProviderRegistry")] + c[1:]


class Pair:
    """The control and the subject, each on a directory of its own."""

    def __init__(self, kind):
        self.kind = kind
        fresh(kind)
        self.dirs = [proc.temp_dir("control-"), proc.temp_dir("subject-")]
        self.servers = [None, None]
        self.served = {d: [] for d in self.dirs}    # (zxid at start, kind)
        self.own = set()    # wrong digests of the control's own
        self.restarts = 0
        self.last = "none"
        self.start()

    def make(self, i, data_dir):
        if i == 0 or self.kind == "apache":
            return Control(data_dir=data_dir, config=CONFIG)
        s = make_server(self.kind, data_dir=data_dir, config=CONFIG)
        s.start_timeout = 180
        return s

    def start(self):
        for i in range(2):
            self.servers[i] = self.make(i, self.dirs[i])
            self.servers[i].spawn()
        for s in self.servers:
            s.wait_ready()
            self.served[s.data_dir].append((zxid_of(s), s.kind))
        return self.ports

    @property
    def ports(self):
        return [s.port for s in self.servers]

    def writer(self, data_dir, zxid):
        """Which kind of server wrote this transaction."""
        kind = None
        for first, k in self.served[data_dir]:
            if first < zxid:
                kind = k
        return kind

    def check(self):
        """What is wrong with the digests of what the subject wrote, or None.

        3.8.0 writes wrong ones itself when writes are in flight together; it
        finds them then, or when it reads them again. Those are counted only.
        """
        for s in self.servers:
            why = self.wrong_digest(s, s.data_dir)
            if why:
                return why
        return None

    def wrong_digest(self, s, data_dir):
        """The first of those that the server found, of what is not the
        control's; data_dir: where the files were written."""
        for m in MISMATCH.finditer(s.log_text(10 ** 8)):
            zxid = int(m.group(1) or m.group(2), 0)
            if self.writer(data_dir, zxid) == "apache":
                self.own.add((data_dir, zxid))
            else:
                return "%s after restart %d (%s), on %s: %s" % (
                    s.kind, self.restarts, self.last,
                    os.path.basename(data_dir), m.group(0))
        return None

    def read_whole(self):
        """All that was written, transaction by transaction: zkern log --verify
        on each directory names the digests that are wrong, and then both
        servers read it from its first snapshot on and must find as many. Gives
        how many digests were compared each time, and what is wrong or None.
        Ends the servers."""
        last = {s.data_dir: zxid_of(s) for s in self.servers}
        for s in self.servers:
            s.stop()
        self.drop()
        total = 0
        for d in self.dirs:
            try:
                digests, wrong = self.verify(d)
                for i in range(2):
                    self.read_copy(i, d, last[d], wrong)
            except (AssertionError, OSError, StartError, TimeoutError) as e:
                return total, str(e)
            total += digests
        return total, None

    def verify(self, data_dir):
        """How many digests, and how many of the control's own are wrong."""
        _, out, err = proc.run([ZKERN, "log", "--verify", data_dir],
                               timeout=WHOLE_TIMEOUT)
        m = re.search(r"(\d+) digests compared", out)
        assert m, "zkern log --verify says: " + (out + err)[-2000:]
        wrong = 0
        for line in err.splitlines():
            bad = re.search(r"(\S+) has digest 0x\w+ for (0x\w+), but", line)
            assert bad, line
            zxid = int(bad.group(2), 0)
            assert self.writer(data_dir, zxid) == "apache", \
                "%s: %s" % (os.path.basename(data_dir), line)
            self.own.add((data_dir, zxid))
            wrong += bad.group(1) == "log"
        return int(m.group(1)), wrong

    def read_copy(self, i, data_dir, last, wrong):
        work = proc.temp_dir("whole-")
        files = os.path.join(data_dir, "version-2")
        copy = os.path.join(work, "data", "version-2")
        os.makedirs(copy)
        snaps = sorted((n for n in os.listdir(files)
                        if n.startswith("snapshot.")),
                       key=lambda n: int(n.split(".")[1], 16))
        for n in os.listdir(files):
            if n not in snaps[1:]:
                shutil.copy(os.path.join(files, n), copy)
        fresh(self.kind)
        s = self.make(i, os.path.dirname(copy))
        s.start_timeout = WHOLE_TIMEOUT
        try:
            s.start()
            what = "%s reading all of %s" % (s.kind, os.path.basename(data_dir))
            got = zxid_of(s)
            assert got >= last, "%s ends at 0x%x before 0x%x" % (
                what, got, last)
            bad = int(s.mntr()["digest_mismatches_count"])
            assert bad == wrong, "%s finds %d wrong digests, not %d\n%s" % (
                what, bad, wrong, s.log_text())
        finally:
            s.kill()
            subprocess.run(["rm", "-rf", work, s.work], check=False)

    def restart(self, how):
        """kill, stop or swap; gives what is wrong, or None."""
        why = self.check()
        for s in self.servers:
            if how == "kill":
                s.kill()
            elif not s.stop():
                why = why or "%s does not end on SIGTERM" % s.kind
        why = why or self.check()
        self.drop()
        if how == "swap":
            self.dirs.reverse()
            fresh(self.kind)
        self.restarts += 1
        self.last = how
        self.start()
        return why or self.check()

    def drop(self):
        """Forget servers that have ended, keeping their directories."""
        for s in self.servers:
            if s:
                subprocess.run(["rm", "-rf", s.work], check=False)
        self.servers = [None, None]

    def logs(self, tail=3000):
        return "\n".join("%s's log:\n%s" % (s.kind, s.log_text(tail))
                         for s in self.servers if s)

    def remove(self):
        for s in self.servers:
            if s:
                s.kill()
        self.drop()
        fresh(self.kind)
        if not os.environ.get("ZKERN_TEST_KEEP"):
            for d in self.dirs:
                subprocess.run(["rm", "-rf", d], check=False)
