# SPDX-License-Identifier: GPL-2.0-or-later
#
# Memberships, messages and elections alone, always with sanitizers.
ELECTION_T := selftests/election
ELECTION_SRC := $(wildcard $(ELECTION_T)/*.c daemon/zab/ensemble*.c) daemon/zab/election.c \
	daemon/zab/packet.c daemon/base/props.c daemon/base/log.c daemon/base/sink.c
TEST_PROGS += $(B)/$(ELECTION_T)/election
$(B)/$(ELECTION_T)/election: $(ELECTION_SRC) $(wildcard $(ELECTION_T)/*.h selftests/lib/*.h daemon/zab/*.h) \
		daemon/proto/jute.h $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) $(DAEMON_CPPFLAGS) -O1 \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-fno-omit-frame-pointer -o $@ $(ELECTION_SRC)
