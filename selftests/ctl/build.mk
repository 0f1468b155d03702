# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon's base alone, always with sanitizers: what it reads is written by hand.
CTL_T := selftests/ctl
CTL_T_SRC := $(wildcard $(CTL_T)/*_test.c) $(wildcard daemon/base/conf*.c daemon/zab/ensemble*.c) \
	$(addprefix daemon/base/,props.c log.c sink.c)
TEST_PROGS += $(B)/$(CTL_T)/ctl
$(B)/$(CTL_T)/ctl: $(CTL_T_SRC) $(CTL_T)/ctl.h $(wildcard daemon/base/*.h daemon/zab/*.h) $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) $(DAEMON_CPPFLAGS) -O1 \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-fno-omit-frame-pointer -o $@ $(CTL_T_SRC) -ljansson
