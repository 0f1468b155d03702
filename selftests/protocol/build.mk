# SPDX-License-Identifier: GPL-2.0-or-later
# The C client's test program.
TEST_PROGS += $(B)/selftests/protocol/cclient
$(B)/selftests/protocol/cclient: T_CPPFLAGS = $(INCLUDES) -DTHREADED
$(B)/selftests/protocol/cclient: T_LIBS = -lzookeeper_mt
