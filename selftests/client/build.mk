# SPDX-License-Identifier: GPL-2.0-or-later
# The client side against a core that the test plays.
CLIENT_TEST := $(B)/selftests/client/unit
TEST_PROGS += $(CLIENT_TEST)
$(CLIENT_TEST): T_CPPFLAGS = $(DAEMON_CPPFLAGS)
$(CLIENT_TEST): T_LIBS = $(ZKERND_LIB) $(DAEMON_LIBS)
$(CLIENT_TEST): $(call objs,$(filter-out selftests/client/unit.c,\
	$(wildcard selftests/client/*.c))) $(ZKERND_LIB)
