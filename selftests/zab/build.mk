# SPDX-License-Identifier: GPL-2.0-or-later
#
# The machine of an ensemble on a model network and model disks, always with sanitizers.
# Allocations can be made to fail: the allocator is wrapped (tests.h).
ZAB_T := selftests/zab
ZAB_SRC := $(wildcard $(ZAB_T)/*.c daemon/zab/*.c) daemon/disk/txn.c \
	daemon/base/log.c daemon/base/metrics.c daemon/base/sink.c daemon/base/props.c
TEST_PROGS += $(B)/$(ZAB_T)/zab
$(B)/$(ZAB_T)/zab: $(ZAB_SRC) $(wildcard $(ZAB_T)/*.h selftests/lib/*.h daemon/zab/*.h) \
		daemon/proto/jute.h daemon/disk/txn.h $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) $(DAEMON_CPPFLAGS) -O1 \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-fno-omit-frame-pointer -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
		-o $@ $(ZAB_SRC) -lz -ldeflate
