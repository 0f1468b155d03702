# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared library of the tests that a client sees.

tap         TAP output with a plan, diagnostics, bail-out
jute        ZooKeeper's wire encoding (own implementation)
wire        a raw client: every byte sent and received is under control
transcript  normalised records of what a client saw, to be compared
proc        child processes that never outlive the test, free ports
server      servers to test against: Apache ZooKeeper and zkernd
tree        whole trees read over TCP, to be compared
"""
