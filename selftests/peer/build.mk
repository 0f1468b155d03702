# SPDX-License-Identifier: GPL-2.0-or-later
# The network between servers, on loopback; worlds and TAP are the disk tests'.
PEER_T := selftests/peer
PEER_T_OBJS := $(call objs,$(wildcard $(PEER_T)/*.c) selftests/disk/common.c)
TEST_PROGS += $(B)/$(PEER_T)/peer
$(B)/obj/$(PEER_T)/%.o: T_CPPFLAGS = $(DAEMON_CPPFLAGS)
$(B)/$(PEER_T)/peer: $(PEER_T_OBJS) $(ZKERND_LIB)
$(B)/$(PEER_T)/peer: T_LIBS = $(DAEMON_LIBS)
