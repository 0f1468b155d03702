# SPDX-License-Identifier: GPL-2.0-or-later
# The disk's test program, against the daemon's own objects.
DT := selftests/disk
DT_OBJS := $(call objs,$(wildcard $(DT)/*.c))
TEST_PROGS += $(B)/$(DT)/disk
$(DT_OBJS): T_CPPFLAGS = $(DAEMON_CPPFLAGS)
$(B)/$(DT)/disk: $(DT_OBJS) $(ZKERND_LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -o $@ $(DT_OBJS) $(ZKERND_LIB) $(DAEMON_LIBS)
