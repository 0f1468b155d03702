# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs that drive the module's interface, run in the VM by run. device and list
# are built for 32 bits too, static, since the VM has no 32-bit libraries.

KT := selftests/kernel
KT_LIB := $(KT)/zk
KT_NAMES := device list owner snapshot access wait confirm map multi netlink trace fuzz \
	faults reload
KT_32 := device list snapshot
KT_PROGS := $(KT_NAMES:%=$(B)/$(KT)/%)
KT_PROGS32 := $(KT_32:%=$(B)/$(KT)/%32)
TEST_PROGS += $(KT_PROGS) $(KT_PROGS32)

$(KT_PROGS): $(B)/obj/$(KT_LIB).o
$(KT_PROGS): T_LIBS = -lnl-genl-3 -lnl-3
$(B)/obj/$(KT)/netlink.o $(B)/obj/$(KT)/reload.o: T_CPPFLAGS = $(TOOLS_CPPFLAGS)
# What maps nodes reads them with libzkern's inline functions, and falls back to its others.
KT_MAPS := $(addprefix $(B)/$(KT)/,map)
$(KT_MAPS): $(B)/libzkern.a
$(KT_MAPS:$(B)/%=$(B)/obj/%.o): T_CPPFLAGS = $(TOOLS_CPPFLAGS)

$(KT_PROGS32): $(B)/$(KT)/%32: $(KT)/%.c $(KT_LIB).c $(KT)/zk.h $(KT)/tap.h \
		include/uapi/linux/zkern.h $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC32    $@"
	@$(CC) -m32 -static $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) $(INCLUDES) -o $@ \
		$< $(KT_LIB).c
