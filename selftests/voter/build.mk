# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the VM.
TEST_PROGS += $(B)/selftests/voter/hold
