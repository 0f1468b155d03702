# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tree's tests: test_tree, with sanitizers and the compat headers' own checks
# whatever SAN says; test_tree_fast, without, where threads meet more often; the
# bench; and the same tests as a module.

TT := selftests/tree
TT_B := $(B)/$(TT)
TT_SRC := $(sort $(wildcard $(TT)/*.c $(TT)/user/*.c))
TT_TREE := $(sort $(wildcard kmod/tree/*.c daemon/store/compat/*.c))
TT_HDR := $(sort $(wildcard kmod/tree/*.h daemon/store/compat/*/*.h $(TT)/*.h \
	$(TT)/user/*.h $(TT)/user/linux/*.h))
TT_CPPFLAGS := -I$(TT)/user -Idaemon/store/compat -Ikmod/tree -I$(TT)
TT_LIBS := -lurcu -lurcu-common -lsodium -ldeflate
TT_CC = $(CC) $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) -Wno-unused-parameter $(TT_CPPFLAGS)

TEST_PROGS += $(TT_B)/test_tree $(TT_B)/test_tree_fast $(TT_B)/bench \
	$(TT_B)/zkern_tree_test.ko

$(TT_B)/test_tree: $(TT_SRC) $(TT_TREE) $(TT_HDR) $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(TT_CC) -O1 -DZK_COMPAT_DEBUG -fsanitize=address,undefined \
		-fno-sanitize-recover=all -fno-omit-frame-pointer \
		-o $@ $(filter %.c,$^) $(TT_LIBS)

$(TT_B)/test_tree_fast: $(TT_SRC) $(TT_TREE) $(TT_HDR) $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(TT_CC) -DZK_COMPAT_DEBUG -o $@ $(filter %.c,$^) $(TT_LIBS)

$(TT_B)/bench: $(TT)/bench/bench.c $(TT)/zt.c $(TT_TREE) $(TT_HDR) $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(TT_CC) -o $@ $(filter %.c,$^) $(TT_LIBS)

TT_KB := $(TT_B)/kernel
TT_KSRC := $(sort $(wildcard kmod/tree/*.[ch] $(TT)/*.[ch] $(TT)/kernel/*.[ch]))

# cp -u keeps the times of what did not change, so that Kbuild builds only what did.
$(TT_B)/zkern_tree_test.ko: $(TT_KSRC) $(TT)/kernel/Kbuild
	@mkdir -p $(TT_KB)
	@cp -u $^ $(TT_KB)
	@+$(MAKE) -C $(KDIR) M=$(abspath $(TT_KB)) W=1 KCFLAGS=-Werror \
		CONFIG_DEBUG_INFO_BTF_MODULES= modules
	@cp $(TT_KB)/zkern_tree_test.ko $@
