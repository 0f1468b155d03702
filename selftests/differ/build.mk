# SPDX-License-Identifier: GPL-2.0-or-later
# The program of the differential run; only jute and the numbers are the daemon's.
DIFFER := selftests/differ
TEST_PROGS += $(B)/$(DIFFER)/differ
$(B)/$(DIFFER)/differ: $(call objs,$(wildcard $(DIFFER)/*.c))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -o $@ $^ -lcrypto
$(B)/obj/$(DIFFER)/%.o: T_CPPFLAGS = $(DAEMON_CPPFLAGS)
