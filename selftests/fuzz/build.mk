# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fuzzers: a target is a file with LLVMFuzzerTestOneInput(). `make fuzz` builds them
# with clang and libFuzzer and runs each for FUZZ_TIME seconds. The tests run the same
# targets over the corpus, built by gcc, with replay.c for a main. Both sanitized.

FZ := selftests/fuzz
FUZZ_QUORUM := follows leads elects
FUZZ_TARGETS := hello wire ops multi jute txnlog snapshot zoocfg quorum $(FUZZ_QUORUM)
FUZZ_PROGS := $(addprefix $(B)/$(FZ)/,$(FUZZ_TARGETS))
FUZZ_SAN := address,undefined
FUZZ_CC := clang-14
# warnings are for gcc to give
FUZZ_TIME := 60
FUZZ_WITH_CLANG := $(findstring fuzzer,$(SAN))

$(B)/obj/$(FZ)/%.o: T_CPPFLAGS = $(DAEMON_CPPFLAGS)
$(FUZZ_PROGS): T_LIBS = $(ZKERND_LIB) $(DAEMON_LIBS) $(if $(FUZZ_WITH_CLANG),-fsanitize=fuzzer)
$(FUZZ_PROGS): $(ZKERND_LIB) $(if $(FUZZ_WITH_CLANG),,$(B)/obj/$(FZ)/replay.o)
$(addprefix $(B)/$(FZ)/,hello wire ops multi): \
	$(patsubst %,$(B)/obj/$(FZ)/%.o,drive drive_core drive_client)
$(addprefix $(B)/$(FZ)/,hello wire ops multi): \
	T_LIBS += -Wl,--wrap=disk_append_later
$(addprefix $(B)/$(FZ)/,$(FUZZ_QUORUM)): $(patsubst %,$(B)/obj/$(FZ)/drive_%.o,\
	quorum peers log sock honest events)
FUZZ_WRAPS := socket bind listen connect accept4 getsockname getpeername poll getrandom \
	peer_now_ms disk_start disk_truncate disk_reload
$(addprefix $(B)/$(FZ)/,$(FUZZ_QUORUM)): T_LIBS += $(addprefix -Wl$(comma)--wrap=,$(FUZZ_WRAPS))
$(addprefix $(B)/$(FZ)/,txnlog snapshot): $(B)/obj/$(FZ)/files.o
$(FUZZ_PROGS): $(B)/obj/$(FZ)/util.o

.PHONY: fuzz fuzz-progs
fuzz-progs: $(FUZZ_PROGS)

ifdef SAN
TEST_PROGS += fuzz-progs
else
.PHONY: fuzz-replay
TEST_PROGS += fuzz-replay
fuzz-replay:
	+@$(MAKE) SAN=$(FUZZ_SAN) fuzz-progs
endif

fuzz:
	@. tools/lib.sh; zk_install clang
	+@$(MAKE) SAN=fuzzer-no-link,$(FUZZ_SAN) CC=$(FUZZ_CC) \
		CFLAGS="-O1 -g -w" fuzz-progs
	@$(FZ)/fuzz build-fuzzer-no-link/$(FZ) $(FUZZ_TIME) $(FUZZ_TARGETS)
