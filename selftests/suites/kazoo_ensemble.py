# SPDX-License-Identifier: GPL-2.0-or-later
"""Those of kazoo's own tests that want an ensemble: an own suite, of three servers."""

import kazoo_suite

NAME = "kazoo-ensemble"
KINDS = ("memory", "apache")    # there is one VM, with one server
SIZE = 3
CONFIG = dict(kazoo_suite.CONFIG, **{
    "tickTime": "500",
    "readonlymode.enabled": "true",
    # without it 3.8.0 lets no readers in
    "localSessionsEnabled": "true",
    "localSessionsUpgradingEnabled": "true",
})
# It takes this as a system property alone.
APACHE_JVM = "-Dreadonlymode.enabled=true"
ONLY = kazoo_suite.NOT
SLOW = kazoo_suite.SLOW

prepare = kazoo_suite.prepare
run = kazoo_suite.run
