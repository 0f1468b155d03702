# SPDX-License-Identifier: GPL-2.0-or-later
"""Four-letter words, each beside the control's answer."""

import re
import socket
import struct
import time

from zktest import wire
from zktest.proc import wait_for
from zktest.transcript import eq

# what a program without a JVM and Netty has no figures of
LEFT_OUT = re.compile(r"_(jvm_pause_time_ms|netty_queued_buffer_capacity)$"
                      r"|^_?zkern_")

# whose change from .before to .after follows from what was done
EXACT = """
    ephemerals_count num_alive_connections outstanding_requests znode_count
    global_sessions local_sessions watch_count auth_failed_count
    approximate_data_size last_client_response_size max_client_response_size
    min_client_response_size watch_bytes response_bytes
    connection_request_count cnt_connection_token_deficit
    sum_connection_token_deficit connection_rejected
    digest_mismatches_count stale_requests stale_requests_dropped
    stale_replies large_requests_rejected sessionless_connections_expired
    stale_sessions_expired connection_revalidate_count proposal_count
    commit_count snap_count looking_count unrecoverable_error_count
    outstanding_changes_queued outstanding_changes_removed
    cnt_updatelatency cnt_readlatency cnt_propagation_latency
    cnt_close_session_prep_time
    cnt_node_created_watch_count sum_node_created_watch_count
    cnt_node_deleted_watch_count sum_node_deleted_watch_count
    cnt_node_changed_watch_count sum_node_changed_watch_count
    max_node_changed_watch_count
    cnt_node_children_watch_count sum_node_children_watch_count
    cnt_app_read_per_namespace sum_app_read_per_namespace
    min_app_read_per_namespace max_app_read_per_namespace
    cnt_other_read_per_namespace sum_other_read_per_namespace
    cnt_app_write_per_namespace sum_app_write_per_namespace
    min_app_write_per_namespace max_app_write_per_namespace
    cnt_other_write_per_namespace sum_other_write_per_namespace
    cnt_startup_snap_load_time cnt_startup_txns_loaded cnt_dbinittime
    cnt_snapshottime
""".split()


def ask(s, word):
    return s.made.plain(s.four_letter(word))


def agree(got, want, what):
    """Both are asked until they say the same: a connection that was closed, the
    last word's for one, is known to them for a while yet."""
    end = time.monotonic() + 30
    while got() != want() and time.monotonic() < end:
        time.sleep(0.2)
    eq(got(), want(), what)


def same(control, s, word, edit=lambda text: text):
    agree(lambda: edit(ask(s, word)), lambda: edit(ask(control, word)), word)


def t_ruok_isro(control, s):
    same(control, s, "ruok")
    same(control, s, "isro")


def t_conf(control, s):
    def edit(text):
        text = re.sub(r"(Size)=\d+", r"\1=N", text)
        return text
    same(control, s, "conf", edit)


def t_dirs(control, s):
    same(control, s, "dirs", lambda t: re.sub(r"\d+", "N", t))
    total = s.four_letter("dirs").split()
    assert int(total[1]) > 0 and int(total[3]) > 0, total


def t_envi(control, s):
    def keys(text):
        return [line.partition("=")[0] for line in text.splitlines()]
    same(control, s, "envi", keys)
    env = dict(line.split("=", 1) for line in
               s.four_letter("envi").splitlines()[1:])
    eq(env["os.name"], "Linux")
    assert env["zookeeper.version"].startswith("3.8.0")


def server_lines(text):
    text = re.sub(r"version: 3\.8\.0.*", "version: V", text)
    text = re.sub(r"min/avg/max: \d+/\d+\.\d+/\d+", "min/avg/max: L", text)
    return re.sub(r"(Received|Sent): \d+", r"\1: N", text)


def t_srvr(control, s):
    same(control, s, "srvr", server_lines)


def cons_lines(text):
    """The asking connection counts itself differently from time to time."""
    text = re.sub(r"(est|lresp|llat|minlat|avglat|maxlat)=\d+", r"\1=N", text)
    return sorted(text.splitlines())


def t_stat(control, s):
    same(control, s, "stat", lambda t: sorted(server_lines(t).splitlines()))


def t_cons(control, s):
    same(control, s, "cons", cons_lines)
    assert "lop=SETD" in s.four_letter("cons")


def sections(text):
    """dump, with what expires when left out, in sorted groups."""
    text = re.sub(r"expire at .*:", "expire at T:", text)
    head, _, rest = text.partition("ephemeral nodes dump:\n")
    nodes, _, conns = rest.partition("Connections dump:\n")
    owners = re.findall(r"^(0x\w+):\n((?:\t.*\n)*)", nodes, re.M)
    return (sorted(re.findall(r"\t0x\w+", head)),
            re.findall(r"/\((\d+)\)", head),
            nodes.splitlines()[0],
            sorted((o, sorted(p.split())) for o, p in owners),
            sorted(re.findall(r"\tip: \S+ sessionId: 0x\w+", conns)),
            re.findall(r"/\((\d+)\)", conns))


def t_dump(control, s):
    same(control, s, "dump", sections)
    pattern = r"""SessionTracker dump:
Session Sets \(\d+\)/\(4\):
(\d+ expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}:
(\t0x\w+
)*)+ephemeral nodes dump:
Sessions with Ephemerals \(2\):
(0x\w+:
(\t/\S+
)+)+Connections dump:
Connections Sets \(\d+\)/\(\d+\):
(\d+ expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}:
(\tip: /\S+ sessionId: 0x\w+
)*)+"""
    for x in (control, s):      # the control keeps sets that became empty
        text = x.four_letter("dump")
        assert re.fullmatch(pattern, text), text


def groups(text):
    """wchc and wchp: the blocks in some order, their lines too."""
    assert text.endswith("\n\n") or text == "\n", repr(text[-20:])
    out = []
    for line in text[:-1].splitlines():
        if line.startswith("\t"):
            out[-1][1].append(line)
        else:
            out.append((line, []))
    return sorted((head, sorted(body)) for head, body in out)


def t_wchs_wchc_wchp(control, s):
    same(control, s, "wchs")
    same(control, s, "wchc", groups)
    same(control, s, "wchp", groups)
    assert len(groups(ask(s, "wchp"))) >= 4


def t_hash(control, s):
    """Every 128th zxid, its digest; and a new start finds the same again."""
    def zxids(text):
        return re.findall(r"^([0-9a-f]+): -?\d+$", text, re.M)
    same(control, s, "hash", zxids)
    eq(zxids(s.four_letter("hash")), ["80", "100"])


def t_trace_mask(control, s):
    def stmk(x, tail):
        with socket.create_connection((x.host, x.port), 30) as c:
            c.sendall(b"stmk" + tail)
            c.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                try:
                    part = c.recv(100)
                except ConnectionResetError:
                    part = b""
                if not part:
                    return got
                got += part
    same(control, s, "gtmk")
    for tail in (b"", b"\n", struct.pack(">q", 42), struct.pack(">q", -1),
                 struct.pack(">q", 306)):
        eq(stmk(s, tail), stmk(control, tail), "stmk %r" % tail)
        same(control, s, "gtmk")
    eq(s.four_letter("gtmk"), "306")


def t_mntr_keys(control, s):
    """The control's keys in its order, less those left out."""
    def keys(m):
        return [k for k in m if not LEFT_OUT.search(k)]
    want, got = keys(control.made.after), keys(s.made.after)
    eq(sorted(set(want) - set(got)), [], "keys missing")
    eq(sorted(set(got) - set(want)), [], "keys of our own")
    eq(got, want, "the order")
    for k, v in control.made.after.items():
        if not LEFT_OUT.search(k):
            eq(re.sub(r"\d+", "9", s.made.after[k].partition("-")[0]),
               re.sub(r"\d+", "9", v.partition("-")[0]), "the form of " + k)


def t_mntr_values(control, s):
    """Figures that follow from what was done."""
    def change(x, k):
        return int(x.made.after[k]) - int(x.made.before.get(k, 0))
    wrong = ["%s: %d, not %d" % (k, change(s, k), change(control, k))
             for k in EXACT if change(s, k) != change(control, k)]
    eq(wrong, [])
    # one client just went; of one that ended its session it's a matter of luck
    # whether its end or the server's close comes first
    for x in (control, s):
        assert change(x, "connection_drop_count") >= 1, x.kind
    m = s.made.after
    for k in ("fsynctime", "sync_processor_batch_size", "sync_process_time",
              "prep_process_time", "sync_processor_queue_size"):
        assert int(m["cnt_" + k]) > 0, k
    assert int(m["sum_sync_processor_batch_size"]) == \
        int(m["sync_processor_request_queued"]), "each write in one group"


def t_mntr_meanings(_control, s):
    """Averages and percentiles are those of their own figures."""
    m = s.mntr()
    names = [k[4:] for k in m if k.startswith("cnt_")]
    assert len(names) > 60
    for n in names:
        cnt, total = int(m["cnt_" + n]), int(m["sum_" + n])
        low, high = int(m["min_" + n]), int(m["max_" + n])
        avg = float(m["avg_" + n])
        if not cnt:
            eq((total, low, high, avg), (0, 0, 0, 0.0), n)
            continue
        assert abs(avg - total / cnt) <= 0.00005001, (n, avg, total, cnt)
        assert low <= avg <= high, n
        if "p50_" + n in m:
            p = [int(m[q + n]) for q in ("p50_", "p95_", "p99_", "p999_")]
            assert p == sorted(p) and low <= p[0] and p[3] <= high, (n, p)


def t_reset(control, s):
    for x in (control, s):
        eq(x.four_letter("crst"), "Connection stats reset.\n")
    same(control, s, "cons", cons_lines)
    for x in (control, s):
        eq(x.four_letter("srst"), "Server stats reset.\n")
        m = x.mntr()
        eq([m[k] for k in ("cnt_updatelatency", "cnt_fsynctime", "response_bytes",
                           "max_client_response_size", "max_latency",
                           "p99_updatelatency", "cnt_app_write_per_namespace")],
           ["0", "0", "0", "-1", "0", "0", "0"])
        x.made.ok(x.made.a, wire.SET_DATA, wire.b_set_data("/app", b"new"))
        # what was sent may be counted once it is sent
        wait_for(lambda: x.mntr()["response_bytes"] == "84", 60, "response_bytes")
        m = x.mntr()
        eq([m[k] for k in ("cnt_updatelatency", "cnt_fsynctime",
                           "min_client_response_size", "cnt_readlatency",
                           "cnt_app_write_per_namespace")],
           ["1", "1", "32", "0", "1"])     # 32: an event


QUOTA = "/zookeeper/quota"
LIMITS, STATS = "/zookeeper_limits", "/zookeeper_stats"
QUOTAS = [      # path, its limits
    ("/one", b"count=5,bytes=-1=;byteHardLimit=7;countHardLimit=2"),
    ("/two/x", b"count=3,bytes=9"), ("/two/y", b"count=4,bytes=1000000000000"),
    ("/thr\u00e9\u20ac", b"count=-1,bytes=-1"), ("/empty", b""), ("/null", None),
]


def quotas(s):
    """The quotas' figures, each kind's by themselves: within a kind the order
    is that of Java's hashes."""
    m = s.mntr()
    keys = [k for k in m if re.search(r"_quota_\w+_(limit|usage)_per_", k)]
    kinds = [re.search(r"quota_\w+_per_namespace$", k).group() for k in keys]
    after = list(m)[list(m).index(keys[-1]) + 1] if keys else None
    return list(dict.fromkeys(kinds)), {k: m[k] for k in keys}, after


def t_quota_gauges(control, s):
    """What is allowed and used, summed by the first names of the paths."""
    seen = {}

    def step(x, op, body):
        x.made.ok(x.made.a, op, body)
        seen[x].append(quotas(x))
    for x in (control, s):
        seen[x] = [quotas(x)]
        made = []
        for path, limits in QUOTAS:
            up = ""
            for name in path[1:].split("/"):
                up += "/" + name
                for p in (up, QUOTA + up):
                    if p not in made:
                        x.made.ok(x.made.a, wire.CREATE, wire.b_create(p, b"12"))
                        made.append(p)
            for p, data in ((LIMITS, limits), (STATS, b"count=0,bytes=0")):
                if path == "/empty" and p == STATS:
                    continue
                made.append(QUOTA + path + p)
                step(x, wire.CREATE, wire.b_create(made[-1], data))
        one = QUOTA + "/one" + LIMITS
        step(x, wire.SET_DATA, wire.b_set_data("/two/y", b"12345678"))
        step(x, wire.CREATE, wire.b_create(one + "/leaf", b""))     # no leaf now
        step(x, wire.DELETE, wire.b_path_int(one + "/leaf", -1))
        for p in reversed(made):
            step(x, wire.DELETE, wire.b_path_int(p, -1))
    eq(len(seen[s]), len(seen[control]))
    for got, want in zip(seen[s], seen[control]):
        eq(got, want)
    assert max(len(x[1]) for x in seen[control]) == 16, seen[control]


def t_sizes_of_paths(control, s):
    """Paths count by Java's characters, not by bytes."""
    def look(x):
        m = x.mntr()
        return [int(m["approximate_data_size"])] + [
            int(m.get(k + "_gr\u00fc\u20acn_%s_per_namespace" % rw, 0))
            for rw in ("read", "write") for k in ("cnt", "sum", "min", "max")]
    seen = {}
    top = "/gr\u00fc\u20acn"
    low = top + "/\u00e9/a\u4e00"
    for x in (control, s):
        seen[x] = [look(x)]
        for op, body in (
                (wire.CREATE, wire.b_create(top, b"123")),
                (wire.CREATE, wire.b_create(top + "/\u00e9", None)),
                (wire.CREATE, wire.b_create(low, b"1")),
                (wire.SET_DATA, wire.b_set_data(low, b"12345")),
                (wire.GET_DATA, wire.b_path_watch(low, False)),
                (wire.GET_CHILDREN2, wire.b_path_watch(top, False)),
                (wire.DELETE, wire.b_path_int(low, -1)),
                (wire.DELETE, wire.b_path_int(top + "/\u00e9", -1))):
            x.made.ok(x.made.a, op, body)
            seen[x].append(look(x))
    for got, want in zip(seen[s], seen[control]):
        eq([b - a for a, b in zip(seen[s][0], got)],
           [b - a for a, b in zip(seen[control][0], want)])


def t_half_closed(_control, s):
    """As "echo mntr | nc" does it: the asker has closed his side."""
    for word in ("mntr", "dump", "wchc", "srvr"):
        with socket.create_connection((s.host, s.port), 30) as c:
            c.sendall(word.encode() + b"\n")
            c.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                part = c.recv(65536)
                if not part:
                    break
                got += part
        assert len(got) > 20, (word, got)


def t_hash_after_start(_control, s):
    """The digests of a replayed log are those that it was written with.  The
    last test of its server: its sessions' connections are gone."""
    before, size = s.four_letter("hash"), s.mntr()["approximate_data_size"]
    s.restart(crash=True)
    eq(s.four_letter("hash"), before)
    m = s.mntr()
    eq(m["approximate_data_size"], size)
    if s.kind == "memory":      # the kernel has kept its tree
        assert int(m["sum_startup_txns_loaded"]) > 256
    eq(m["digest_mismatches_count"], "0")
    text = wait_for(lambda: s.four_letter("dump"), 60, "dump")
    assert "Sessions with Ephemerals (2):" in text, text


TESTS = [t_ruok_isro, t_conf, t_dirs, t_envi, t_srvr, t_stat, t_cons, t_dump,
         t_wchs_wchc_wchp, t_hash, t_trace_mask, t_mntr_keys, t_mntr_values,
         t_mntr_meanings, t_half_closed]
LAST = [t_quota_gauges, t_sizes_of_paths, t_reset, t_hash_after_start]
