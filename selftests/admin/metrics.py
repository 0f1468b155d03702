# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus' page, read with Prometheus' own Python parser."""

import math
import os

from prometheus_client.parser import text_string_to_metric_families
from zktest import wire
from zktest.proc import wait_for
from zktest.server import make_server
from zktest.transcript import eq

from http_commands import get

PROCESS = {"process_cpu_seconds_total", "process_start_time_seconds",
           "process_virtual_memory_bytes", "process_resident_memory_bytes"}


def page(s, query=""):
    status, kind, text = get(s, "/metrics" + query, port=s.metrics)
    eq((status, kind), (200, "text/plain;"
                        if s.kind == "kernel" else
                        "text/plain; version=0.0.4; charset=utf-8"))
    return text


def parse(text):
    """name -> (type, {(sample's name, labels): value}); strict: each name
    once, each sample once, none without its head."""
    out = {}
    for f in text_string_to_metric_families(text):
        assert f.name not in out, f.name
        assert f.type != "unknown" and f.type != "untyped", f.name
        samples = {}
        for x in f.samples:
            key = (x.name, tuple(sorted(x.labels.items())))
            assert key not in samples, key
            samples[key] = x.value
        out[f.name] = (f.type, samples)
    return out


def kinds(text):
    """The types as the page itself names them."""
    return {line.split()[2]: line.split()[3] for line in text.splitlines()
            if line.startswith("# TYPE")}


def t_metrics_names(s):
    """All that mntr has, each as 3.8's provider registers it."""
    got, m = kinds(page(s)), s.mntr()
    summaries = {k[4:] for k in m if k.startswith("cnt_")
                 and not k.endswith("_per_namespace")}
    parts = {p + n for n in summaries
             for p in ("avg_", "min_", "max_", "cnt_", "sum_", "p50_",
                       "p95_", "p99_", "p999_")}
    single = {k for k in m if k not in parts and "_per_namespace" not in k} \
        - {"version", "server_state"}
    want = {n: "summary" for n in summaries}
    for n in ("read_per_namespace", "write_per_namespace", "ack_latency",
              "learner_handler_qp_size", "learner_handler_qp_time_ms"):
        want[n] = "summary"
    want["quota_exceeded_error_per_namespace"] = "counter"
    for n in ("count_limit", "bytes_limit", "count_usage", "bytes_usage"):
        want["quota_%s_per_namespace" % n] = "gauge"
    eq(set(got) - PROCESS, set(want) | single)
    for n, kind in want.items():
        eq(got[n], kind, n)
    for n in ("znode_count", "avg_latency", "uptime", "watch_count"):
        eq(got[n], "gauge", n)
    for n in ("response_bytes", "connection_rejected", "commit_count"):
        eq(got[n], "counter", n)


def t_metrics_parse(s):
    """A strict parser takes the page; its figures are mntr's."""
    p = parse(page(s))
    m = s.mntr()
    for n in ("znode_count", "watch_count", "ephemerals_count",
              "approximate_data_size", "global_sessions"):
        eq(p[n][1][(n, ())], float(m[n]), n)
    for n in ("updatelatency", "fsynctime", "propagation_latency"):
        eq(p[n][1][(n + "_count", ())], float(m["cnt_" + n]), n)
        eq(p[n][1][(n + "_sum", ())], float(m["sum_" + n]), n)
    quantiles = sorted(k[1][0][1] for k in p["updatelatency"][1] if k[1])
    eq(quantiles, ["0.5", "0.9", "0.99"])
    eq([k[1] for k in p["fsynctime"][1] if k[1]], [(("quantile", "0.5"),)])
    assert math.isnan(p["election_time"][1][
        ("election_time", (("quantile", "0.5"),))])
    key = (("key", "app"),)
    eq(p["write_per_namespace"][1][("write_per_namespace_count", key)],
       float(m["cnt_app_write_per_namespace"]))
    assert PROCESS <= {x + ("_total" if x.endswith("cpu_seconds") else "")
                       for x in p}, sorted(p)


def t_metrics_grow(s):
    """A counter counts; srst, as with 3.8's provider, does not touch it."""
    def updates():
        return parse(page(s))["updatelatency"][1][("updatelatency_count", ())]
    n = updates()
    for _ in range(5):
        s.made.ok(s.made.a, wire.SET_DATA, wire.b_set_data("/app", b"z"))
    eq(updates(), n + 5)
    s.four_letter("srst")
    eq(updates(), n + 5)
    eq(s.mntr()["max_latency"], "0")


def t_metrics_quantiles(s):
    """Of what was seen in the last minutes, by the names of paths too."""
    s.made.ok(s.made.a, wire.CREATE, wire.b_create("/quantiles"))
    for size in [20] * 9 + [900]:
        s.made.ok(s.made.a, wire.SET_DATA,
                  wire.b_set_data("/quantiles", b"z" * size))
        s.made.ok(s.made.a, wire.GET_DATA,
                  wire.b_path_watch("/quantiles"))
    p = parse(page(s))
    key = (("key", "quantiles"), ("quantile", "0.5"))
    for name, least in (("write", 20), ("read", 0)):
        name += "_per_namespace"
        got = p[name][1][(name, key)]
        assert least <= got < 200, (name, got)
    for q in "0.5", "0.9", "0.99":
        got = p["readlatency"][1][("readlatency", (("quantile", q),))]
        assert 0 <= got <= float(s.mntr()["max_readlatency"]), got
    got = p["updatelatency"][1][("updatelatency", (("quantile", "0.5"),))]
    assert not math.isnan(got)
    # no such thing has happened to this server
    assert math.isnan(p["observer_sync_time"][1][
        ("observer_sync_time", (("quantile", "0.5"),))])


def t_metrics_labels(s):
    """A node's name as a label's value, whatever is in it."""
    name = 'q"uo\\te\u00e9'
    s.made.ok(s.made.a, wire.CREATE, wire.b_create("/" + name, b"1"))
    p = parse(page(s))["write_per_namespace"][1]
    eq(p[("write_per_namespace_count", (("key", name),))], 1.0)


def t_metrics_filter(s):
    p = parse(page(s, "?name[]=znode_count&name[]=fsynctime"))
    eq(sorted(p), ["fsynctime", "znode_count"])


def t_metrics_errors(s):
    for path in ("/", "/metrics/", "/commands"):
        eq(get(s, path, port=s.metrics)[0], 404, path)
    eq(get(s, "/metrics", "POST", port=s.metrics)[0], 405)


def t_metrics_sum_up(s):
    """Counters of threads that are gone stay: snapshots are such."""
    def count():
        return int(s.mntr()["cnt_snapshottime"])
    wait_for(lambda: count() >= 1, 60, "the count")
    eq(count(), int(parse(page(s))["snapshottime"][1][
        ("snapshottime_count", ())]))


def t_metrics_own(s):
    """What 3.8 has no figure for: room, failures, memory of watches."""
    def own():
        return {k: int(v) for k, v in s.mntr().items()
                if k.startswith("zkern_")}
    m, p = own(), parse(page(s))
    fs = os.statvfs(s.data_dir)
    free = fs.f_bavail * fs.f_frsize
    assert free / 2 < m["zkern_data_dir_free_bytes"] < free * 2, (m, free)
    eq(m["zkern_snapshot_errors"] + m["zkern_log_errors"], 0)
    assert m["zkern_fsyncs"] > 0 and m["zkern_log_bytes"] > 0, m
    for k in m:
        assert k in p and p[k][0] == "gauge", k
    for i in range(1000):
        s.made.ok(s.made.a, wire.ADD_WATCH,
                  wire.b_path_int("/own/%d" % i, 1))
    more = own()["zkern_watch_memory_bytes"] - m["zkern_watch_memory_bytes"]
    assert 50000 < more < 500000, more
    for i in range(1000):
        s.made.ok(s.made.a, wire.REMOVE_WATCHES,
                  wire.b_path_int("/own/%d" % i, 3))
    wait_for(lambda: own()["zkern_watch_memory_bytes"] <
             m["zkern_watch_memory_bytes"] + more // 2, 60, "less memory")


def t_metrics_room(_s):
    """The disk that fills: said in the figures as in the log."""
    s = make_server("memory", config={"zkern.roomWarningInKb": str(1 << 40)})
    try:
        s.start()
        wait_for(lambda: s.mntr()["zkern_data_dir_room_low"] == "1", 60,
                 "the warning")
        eq(s.mntr()["zkern_data_dir_room_warnings"], "1")
        assert "KiB are free" in s.log_text(), s.log_text()
    finally:
        s.remove()


def t_metrics_throttle(_s):
    """Of the tokens for connections, how many are missing."""
    s = make_server("memory", config={
        "connection_throttle_tokens": "3",
        "connection_throttle_fill_time": "3600000"})
    try:
        s.start()
        clients = [wire.Client(s.host, s.port) for _ in range(3)]
        m = s.mntr()
        eq([m[k + "_connection_token_deficit"] for k in
            ("cnt", "min", "max", "sum")], ["3", "1", "3", "6"])
        for c in clients:
            c.close()
    finally:
        s.remove()


def t_metrics_quota_gauges(s):
    """Limits and usage by the first names of the paths: gauges with a label,
    which go with their quota."""
    name, q = "q\u00e9", "/zookeeper/quota/q\u00e9"
    made = [("/" + name, b"12"), (q, b""),
            (q + "/zookeeper_limits", b"count=5,bytes=70=;countHardLimit=2"),
            (q + "/zookeeper_stats", b"count=0,bytes=0")]
    for path, data in made:
        s.made.ok(s.made.a, wire.CREATE, wire.b_create(path, data))
    text = page(s)
    got, p = kinds(text), parse(text)
    for what, n in (("count_limit", 2), ("bytes_limit", 70),
                    ("count_usage", 1), ("bytes_usage", 2)):
        k = "quota_%s_per_namespace" % what
        eq(got[k], "gauge", k)
        eq(p[k][1], {(k, (("key", name),)): float(n)}, k)
    for path, _ in reversed(made):
        s.made.ok(s.made.a, wire.DELETE, wire.b_path_int(path, -1))
    assert name not in "".join(
        line for line in page(s).splitlines() if line.startswith("quota_"))


def t_metrics_quota(_s):
    """What quotas refused, by the first name of the path: as the control."""
    got = []
    for kind in ("apache", "memory"):
        s = make_server(kind, config={"enforceQuota": "true"})
        try:
            s.start()
            c = wire.Client(s.host, s.port)
            q = "/zookeeper/quota/q"
            for path, data in (("/q", b""), (q, b""),
                               (q + "/zookeeper_limits",
                                b"count=-1,bytes=-1=;countHardLimit=2"),
                               (q + "/zookeeper_stats", b"count=1,bytes=0"),
                               ("/q/a", b""), ("/q/b", b""), ("/q/a/c", b"")):
                c.call(wire.CREATE, wire.b_create(path, data))
            got.append({k: v for k, v in s.mntr().items()
                        if "quota_exceeded" in k})
            c.close()
        finally:
            s.remove()
    eq(got[1], got[0])
    eq(got[0], {"q_quota_exceeded_error_per_namespace": "2"})


TESTS = [t_metrics_quota, t_metrics_quota_gauges, t_metrics_own, t_metrics_room, t_metrics_throttle,
         t_metrics_names, t_metrics_parse, t_metrics_grow, t_metrics_quantiles,
         t_metrics_labels,
         t_metrics_filter, t_metrics_errors, t_metrics_sum_up]
