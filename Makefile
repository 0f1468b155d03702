# SPDX-License-Identifier: GPL-2.0-or-later
#
# The front door: `make help` lists what there is. The module is built by Kbuild
# against Debian's headers; everything else here, into build/, with warnings as
# errors. SAN=address,undefined or SAN=thread builds the user side with that
# sanitizer into build-address/ or build-thread/ instead.

MAKEFLAGS += -rR --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:

comma := ,
CC := gcc
AR := ar
PKG_CONFIG := pkg-config
PAHOLE := pahole
CLANG := clang
BPFTOOL := /usr/sbin/bpftool
prefix := /usr/local

VERSION := 0.1.0

# --- the user side ----------------------------------------------------------

ifdef SAN
B := build-$(firstword $(subst $(comma), ,$(SAN)))
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
B := build
SANFLAGS :=
endif

CFLAGS ?= -O2 -g
ZK_CFLAGS := -std=gnu11 $(CFLAGS) -Wall -Wextra -Werror -pthread -D_GNU_SOURCE \
	$(SANFLAGS)
ZK_LDFLAGS := $(LDFLAGS) -pthread $(SANFLAGS)
INCLUDES := -I. -Iinclude -Iinclude/uapi

# The daemon and the tree see the compat headers first: the tree's source says
# <linux/...>, and here that means liburcu and libc.
DAEMON_CPPFLAGS := -Idaemon/store/compat $(INCLUDES)
TOOLS_CPPFLAGS := $(INCLUDES) -Itools/lib \
	$(shell $(PKG_CONFIG) --cflags libnl-3.0 libnl-genl-3.0 jansson)

URCU_LIBS := -lurcu -lurcu-common
DAEMON_LIBS := $(URCU_LIBS) -lz -ldeflate -lsnappy -lsodium -lcrypto -ljansson -lsystemd -lmicrohttpd -lm
# The daemon itself allocates by jemalloc (sanitizers bring their own malloc).
MALLOC_LIBS := $(if $(SAN),,-ljemalloc)
TOOLS_LIBS := $(shell $(PKG_CONFIG) --libs libnl-genl-3.0 libnl-3.0 jansson)
LIBZKERN_LIBS := $(shell $(PKG_CONFIG) --libs libnl-genl-3.0 libnl-3.0)

objs = $(patsubst %.c,$(B)/obj/%.o,$(sort $(1)))

TREE_OBJS := $(call objs,$(wildcard kmod/tree/*.c))
DAEMON_OBJS := $(call objs,$(wildcard daemon/*.c daemon/*/*.c daemon/*/*/*.c))
CLI_OBJS := $(call objs,$(wildcard tools/zkern/*.c))
LIBZKERN_OBJS := $(call objs,$(wildcard tools/lib/*.c))

# Tests link the daemon less its main.
ZKERND_LIB := $(B)/libzkernd.a
ZKERND_MAIN := $(call objs,$(wildcard daemon/*.c))

PROGS := $(B)/zkernd $(B)/zkern $(B)/libzkern.a $(B)/libzkern.so.0 \
	$(B)/vm-agent $(B)/vm-exec
MODULE := zkern.ko

TEST_PROGS :=
BENCH_PROGS :=

.PHONY: all progs module tests FORCE
all: progs module

# Suites append their programs to TEST_PROGS, and say how those are linked.
# A program $(B)/selftests/X from the single source selftests/X.c needs only
# T_CPPFLAGS and T_LIBS set for it (target-specific).
-include $(sort $(wildcard selftests/*/build.mk)) tools/bench/build.mk

progs: $(PROGS)
module: $(MODULE)
tests: $(TEST_PROGS) $(BENCH_PROGS)

$(B)/zkernd: $(ZKERND_MAIN) $(ZKERND_LIB)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -o $@ $(ZKERND_MAIN) $(ZKERND_LIB) $(DAEMON_LIBS) \
		$(MALLOC_LIBS)

$(ZKERND_LIB): $(filter-out $(ZKERND_MAIN),$(DAEMON_OBJS)) $(TREE_OBJS)
	@echo "  AR      $@"
	@rm -f $@ && $(AR) rcs $@ $^

$(B)/libzkern.a: $(LIBZKERN_OBJS)
	@echo "  AR      $@"
	@rm -f $@ && $(AR) rcs $@ $^

$(B)/libzkern.so.0: $(LIBZKERN_OBJS)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -shared -Wl,-soname,libzkern.so.0 -Wl,-z,defs \
		-o $@ $^ $(LIBZKERN_LIBS)

# zkern log and zkern snapshot read files with the daemon's own parts.
$(B)/zkern: $(CLI_OBJS) $(B)/libzkern.a $(ZKERND_LIB)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -Wl,--as-needed -o $@ $^ $(TOOLS_LIBS) $(DAEMON_LIBS)

# The agent runs in the VM, where there is no libc: static, never sanitized.
$(B)/vm-agent $(B)/vm-exec: $(B)/vm-%: tools/vm/%.c tools/vm/wire.h
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE \
		$(if $(filter %agent,$@),-static) -I. -o $@ $<

# A step of the module's build, never sanitized either.
$(B)/btfids: tools/btfids/btfids.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -o $@ $< -lbpf -lelf

$(B)/obj/daemon/%.o: CPPFLAGS_ = $(DAEMON_CPPFLAGS)
# The kernel does not warn of unused parameters either: lockdep's, for one.
$(B)/obj/kmod/%.o: CPPFLAGS_ = $(DAEMON_CPPFLAGS) -Wno-unused-parameter
# gcc's thread sanitizer knows no fences: these are for what the kernel does, and between
# accesses that are atomic each.
$(addprefix $(B)/obj/daemon/,store/kernel.o base/metrics.o base/metrics_read.o): \
	CPPFLAGS_ = $(DAEMON_CPPFLAGS) $(if $(findstring thread,$(SAN)),-Wno-tsan)
$(ZKERND_MAIN): CPPFLAGS_ = $(DAEMON_CPPFLAGS) -DZKERN_VERSION=\"$(VERSION)\"
$(B)/obj/tools/%.o: CPPFLAGS_ = $(TOOLS_CPPFLAGS)
$(B)/obj/tools/zkern/disk_%.o: CPPFLAGS_ = -Idaemon/store/compat $(TOOLS_CPPFLAGS)
$(B)/obj/tools/lib/%.o: CPPFLAGS_ = $(TOOLS_CPPFLAGS) -fPIC
$(B)/obj/selftests/%.o: CPPFLAGS_ = $(T_CPPFLAGS)

$(B)/obj/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ZK_CFLAGS) $(CPPFLAGS_) -MMD -MP -c -o $@ $<

T_CPPFLAGS = $(INCLUDES)
$(B)/selftests/%: $(B)/obj/selftests/%.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -o $@ $^ $(T_LIBS)

# Other flags, other objects.
$(B)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ZK_CFLAGS) $(DAEMON_CPPFLAGS) $(TOOLS_CPPFLAGS)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

.SECONDARY:

# --- the module -------------------------------------------------------------

# Debian's headers: of the running kernel if it is Debian's, else the newest
# installed. KDIR=... overrides.
ifndef KVER
KVER := $(shell . tools/lib.sh; zk_kver)
endif
KDIR ?= /usr/src/linux-headers-$(KVER)

MODULE_SRC := Kbuild $(shell find kmod include -name '*.[ch]' 2>/dev/null)
KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR) W=1 KCFLAGS=-Werror \
	CONFIG_DEBUG_INFO_BTF_MODULES=

# Kbuild would make the BTF only beside an unpacked vmlinux, which Debian does
# not ship: we unpack it from the kernel image and do that step ourselves.
zkern.ko: $(MODULE_SRC) $(B)/btfids
	@test -f $(KDIR)/Makefile || { echo "no kernel headers in $(KDIR)"; exit 1; }
	@+$(KBUILD) modules
	@echo "  BTF     $@"
	@v=$(KDIR)/vmlinux; test -f "$$v" || \
		v=$$(. tools/lib.sh; zk_vmlinux $(KVER)) && \
		LLVM_OBJCOPY=objcopy $(PAHOLE) -J --btf_gen_floats --btf_base "$$v" $@ && \
		$(B)/btfids $@ "$$v" && touch $@

# --- checks, tests, running -------------------------------------------------

.PHONY: sparse checkpatch bench suites power differ sim mixed sanitize run test install uninstall clean help
.PHONY: debug-kernel debug-test debug-stress

sparse:
	+$(KBUILD) C=2 CF=-Wsparse-error modules

# The script is not in the headers package: taken from linux-source-6.1.
# On the user's side without what only makes sense in the kernel or is taste; trace.h has the
# form that the kernel's own trace headers have, which the script does not like.
CHECKPATCH := --no-tree --strict --terse --no-summary --max-line-length=100
CP_IGNORE := FILE_PATH_CHANGES,SPDX_LICENSE_TAG,LINUX_VERSION_CODE
CP_IGNORE_USER := $(CP_IGNORE),BLOCK_COMMENT_STYLE,PREFER_KERNEL_TYPES,VOLATILE,$\
	SPLIT_STRING,EMBEDDED_FUNCTION_NAME,PREFER_DEFINED_ATTRIBUTE_MACRO,$\
	NEW_TYPEDEFS,MACRO_ARG_REUSE,MEMORY_BARRIER,STRING_FRAGMENTS,LINE_SPACING,$\
	ARRAY_SIZE,CAMELCASE,COMPARISON_TO_NULL,COMPLEX_MACRO,$\
	UNNECESSARY_PARENTHESES,UNNECESSARY_ELSE,BIT_MACRO,BRACES,MULTIPLE_ASSIGNMENTS,$\
	MACRO_WITH_FLOW_CONTROL,MACRO_ARG_PRECEDENCE,AVOID_EXTERNS,$\
	QUOTED_WHITESPACE_BEFORE_NEWLINE,TYPO_SPELLING,REPEATED_WORD
checkpatch:
	@c=$$(. tools/lib.sh; zk_checkpatch) && s=0 && \
	find kmod include -name '*.[ch]' ! -name '*.mod.c' ! -name trace.h | sort | xargs \
		perl "$$c" $(CHECKPATCH) --ignore $(CP_IGNORE),LINE_SPACING -f || s=1; \
	find daemon tools selftests -name '*.[ch]' ! -name '*.mod.c' | sort | xargs \
		perl "$$c" $(CHECKPATCH) --ignore $(CP_IGNORE_USER) -f || s=1; \
	exit $$s

# --- installing -------------------------------------------------------------

MODSRC := /usr/src/zkern-$(VERSION)
MANPAGES := $(wildcard tools/man/*.[1-8])
INSTALL = install -D -m 644
FILL = sed -e 's|@VERSION@|$(VERSION)|g' -e 's|@sbindir@|$(prefix)/sbin|g'

# The module goes in as source, for DKMS to build for each kernel there is or will
# be. With DESTDIR files are placed and nothing else is done.
install: progs
	install -D -m 755 build/zkernd $(DESTDIR)$(prefix)/sbin/zkernd
	install -D -m 755 build/zkern $(DESTDIR)$(prefix)/bin/zkern
	$(INSTALL) build/libzkern.a $(DESTDIR)$(prefix)/lib/libzkern.a
	$(INSTALL) build/libzkern.so.0 $(DESTDIR)$(prefix)/lib/libzkern.so.0
	ln -sf libzkern.so.0 $(DESTDIR)$(prefix)/lib/libzkern.so
	$(INSTALL) tools/lib/zkern.h $(DESTDIR)$(prefix)/include/zkern.h
	$(INSTALL) tools/lib/zkern_map.h $(DESTDIR)$(prefix)/include/zkern_map.h
	$(INSTALL) include/uapi/linux/zkern.h $(DESTDIR)$(prefix)/include/linux/zkern.h
	for m in $(MANPAGES); do \
		$(INSTALL) $$m $(DESTDIR)$(prefix)/share/man/man$${m##*.}/$${m##*/} || exit 1; \
	done
	$(INSTALL) Kbuild $(DESTDIR)$(MODSRC)/Kbuild
	find kmod include -name '*.[ch]' | while read -r f; do \
		$(INSTALL) $$f $(DESTDIR)$(MODSRC)/$$f || exit 1; \
	done
	$(FILL) tools/install/dkms.conf.in >$(DESTDIR)$(MODSRC)/dkms.conf
	mkdir -p $(DESTDIR)/usr/lib/systemd/system
	$(FILL) tools/install/zkernd.service.in >$(DESTDIR)/usr/lib/systemd/system/zkernd.service
	$(INSTALL) tools/install/60-zkern.rules $(DESTDIR)/usr/lib/udev/rules.d/60-zkern.rules
	test -e $(DESTDIR)/etc/zkern/zoo.cfg || \
		$(INSTALL) tools/install/zoo.cfg $(DESTDIR)/etc/zkern/zoo.cfg
ifeq ($(DESTDIR),)
	ldconfig
	dkms install --force zkern/$(VERSION)
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; udevadm control --reload; fi
endif

# Leaves the data and /etc/zkern.
uninstall:
ifeq ($(DESTDIR),)
	-dkms remove zkern/$(VERSION) --all
endif
	rm -f $(DESTDIR)$(prefix)/sbin/zkernd $(DESTDIR)$(prefix)/bin/zkern
	rm -f $(addprefix $(DESTDIR)$(prefix)/lib/,libzkern.a libzkern.so libzkern.so.0)
	rm -f $(addprefix $(DESTDIR)$(prefix)/include/,zkern.h zkern_map.h linux/zkern.h)
	for m in $(MANPAGES); do \
		rm -f $(DESTDIR)$(prefix)/share/man/man$${m##*.}/$${m##*/}; \
	done
	rm -rf $(DESTDIR)$(MODSRC)
	rm -f $(DESTDIR)/usr/lib/systemd/system/zkernd.service
	rm -f $(DESTDIR)/usr/lib/udev/rules.d/60-zkern.rules

bench: all tests
	tools/bench/run

# The long run of a suite that `make test` has a short one of: 10 minutes on the memory
# store, half an hour and more on the kernel's where the VM is emulated.
OPS ?= 1000000
KINDS ?= memory
differ: all tests
	selftests/differ/run --kinds $(KINDS) --ops $(OPS) --restarts 100000 --walks 20000 \
		--expiries 50000 --conc 20000 --whole --seed $(or $(SEED),random)

# Simulated ensembles, and bugs that the simulator must find.
SEEDS ?= 10000
sim: all tests
	selftests/sim/run --seeds $(SEEDS) --bugs

# Ensembles of both kinds under load and harm, SECONDS for each mix.
SECONDS ?= 600
MIXES ?= mmm aam mma ama maa amm aaa mmmmm aamam mamma
mixed: all tests
	selftests/mixed/run --tries 1 --seconds $(SECONDS) $(if $(KEEP),--keep $(KEEP)) $(MIXES)

# The power fails CUTS times under load.
CUTS ?= 100
power: all tests
	selftests/power/run --cuts $(CUTS)

# Kernels that complain (KASAN, lockdep, leaks, data races ...): built once, into the cache.
debug-kernel:
	tools/debug-kernel/build debug
	tools/debug-kernel/build kcsan

# The module's and the tree's tests on those and on Debian's kernels; then all of the
# module's interfaces at once for SECONDS, with calls that fail.
KERNELS ?= debug kcsan stock cloud rt
debug-test: all tests
	@s=0; for k in $(KERNELS); do \
		echo "# kernel: $$k"; \
		tools/vm/on $$k selftests/kernel/run || s=1; \
		tools/vm/on $$k selftests/tree/run kernel || s=1; \
	done; exit $$s

STRESS_KERNELS ?= debug kcsan
debug-stress: all tests
	@s=0; for k in $(STRESS_KERNELS); do \
		echo "# kernel: $$k"; \
		tools/vm/on $$k selftests/stress/run $(SECONDS) $(SEED) || s=1; \
	done; exit $$s

# The suites that drive a whole daemon, with a sanitized one: first for memory, then for
# races. SUITES= only these.
SAN_PROGS := zkernd $(foreach t,core/core zab/zab election/election peer/peer sim/sim client/unit,\
	selftests/$(t))
sanitize: all tests
	+@s=0; for san in address,undefined thread; do \
		b=build-$${san%%,*} && $(MAKE) SAN=$$san $(SAN_PROGS:%=$$b/%) && \
		tools/sanitize $$san $(SUITES) || s=1; \
	done; exit $$s

# Upstream suites, whole; what cannot be had is a failure here.
suites: all
	@. tools/lib.sh && zk_install $$ZK_PKGS_RUN $$ZK_PKGS_SUITES
	selftests/suites/run --all --need --kinds memory,kernel,apache

run:
	@tools/run

test:
	@tools/test

clean:
	rm -rf build build-*/
	@test ! -f $(KDIR)/Makefile || $(MAKE) -C $(KDIR) M=$(CURDIR) clean

help:
	@echo 'make               build all: build/zkernd, build/zkern, zkern.ko, libzkern'
	@echo 'make tests         the programs of the tests and the benchmark'
	@echo 'make run           the appliance: a VM that serves 127.0.0.1:2181 (tools/run)'
	@echo 'make test          everything that a change must pass (tools/test)'
	@echo 'make bench         the figures'
	@echo 'make suites        all of the upstream suites: kazoo, Curator, the C client (20 min)'
	@echo 'make differ        OPS= random requests to Apache ZooKeeper and to zkernd, all answers'
	@echo '                   compared; SEED= does a run again, KINDS=memory,kernel'
	@echo 'make sim           SEEDS=10000 simulated ensembles; bugs put in, which must be found'
	@echo 'make mixed         ensembles with Apache ZooKeeper, SECONDS=600 for each of MIXES=,'
	@echo '                   what a wrong one leaves in KEEP=DIRECTORY'
	@echo 'make power         the power fails under load, CUTS=100 times (half an hour)'
	@echo 'make debug-kernel  kernels that check memory, locks, leaks, data races (once: an hour)'
	@echo 'make debug-test    the tests of the module on them, and on stock, cloud and rt: KERNELS='
	@echo 'make debug-stress  SECONDS=600 of all its interfaces at once, with calls that fail'
	@echo 'make sanitize      the suites of daemon and ensembles, sanitized (half an hour);'
	@echo '                   SUITES= only these'
	@echo 'make fuzz          each fuzzer for FUZZ_TIME=60 seconds (installs clang if need be)'
	@echo 'make install       module (DKMS), daemon, tools, unit, udev rule; DESTDIR=, prefix='
	@echo 'make sparse        sparse on the module; make checkpatch: the kernel style check'
	@echo 'make clean         remove what was built'
	@echo 'Variables: SAN=address,undefined or SAN=thread (user side, into build-address/ ...),'
	@echo '           KDIR= (kernel headers), KVER= (which installed ones), CC=, CFLAGS='
