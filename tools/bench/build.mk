# SPDX-License-Identifier: GPL-2.0-or-later
# The benchmark's programs: build/bench/NAME. What measures the tree is compiled
# as the daemon is, what measures the device as the tools are.

BENCH_PROGS += $(addprefix $(B)/bench/,load canned tree reads mapped crowd watch_bytes \
	failover)

$(B)/obj/tools/bench/%.o: CPPFLAGS_ = $(DAEMON_CPPFLAGS)
$(B)/obj/tools/bench/tree.o: CPPFLAGS_ = $(DAEMON_CPPFLAGS) -Wno-unused-parameter
$(B)/obj/tools/bench/reads.o: CPPFLAGS_ = $(TOOLS_CPPFLAGS)
$(B)/obj/tools/bench/mapped.o: CPPFLAGS_ = $(TOOLS_CPPFLAGS)

$(B)/bench/load: $(call objs,tools/bench/load.c tools/bench/load_conn.c \
	tools/bench/measure.c)
$(B)/bench/failover: $(call objs,tools/bench/failover.c tools/bench/load_conn.c \
	tools/bench/measure.c)
$(B)/bench/crowd: $(call objs,$(addprefix tools/bench/,crowd.c crowd_peer.c \
	crowd_watch.c crowd_session.c crowd_hold.c measure.c))
$(B)/bench/watch_bytes: $(call objs,tools/bench/watch_bytes.c) $(ZKERND_LIB)
$(B)/bench/watch_bytes: BENCH_LIBS = $(DAEMON_LIBS)
$(B)/bench/canned: $(call objs,tools/bench/canned.c)
$(B)/bench/tree: $(call objs,tools/bench/tree.c) $(TREE_OBJS) \
	$(call objs,$(wildcard daemon/store/compat/*.c))
$(B)/bench/tree: BENCH_LIBS = -lurcu-cds $(URCU_LIBS) -lsodium -ldeflate -lz
$(B)/bench/reads: $(call objs,tools/bench/reads.c) $(B)/libzkern.a
$(B)/bench/reads: BENCH_LIBS = $(LIBZKERN_LIBS)
$(B)/bench/mapped: $(call objs,tools/bench/mapped.c) $(B)/libzkern.a
$(B)/bench/mapped: BENCH_LIBS = $(LIBZKERN_LIBS)

$(B)/bench/%:
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -o $@ $^ $(BENCH_LIBS)
