# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock clients against a server: each function takes a running Server."""


def all_clients():
    """(name, function) of every client test."""
    return []
