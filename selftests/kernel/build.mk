# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs that drive the module's interface, run in the VM by run. Some are built for 32
# bits too, static, since the VM has no 32-bit libraries.

KT := selftests/kernel
KT_LIB := $(KT)/zk
KT_CALLS := $(addprefix $(B)/$(KT)/,request session watch_session)
KT_LOCKS := $(addprefix $(B)/$(KT)/,lock lock_lease lock_race)
KT_NAMES := device list owner snapshot access wait confirm watch watch_race request session \
	watch_session lock lock_lease lock_race map map_step map_race map_lib multi netlink trace \
	fuzz faults reload kfunc kapi
KT_32 := device list snapshot map map_step
KT_PROGS := $(KT_NAMES:%=$(B)/$(KT)/%)
KT_PROGS32 := $(KT_32:%=$(B)/$(KT)/%32)
KT_SIDE := $(B)/$(KT)/side
TEST_PROGS += $(KT_PROGS) $(KT_PROGS32) $(KT_SIDE)

$(KT_PROGS): $(B)/obj/$(KT_LIB).o
$(KT_CALLS): $(B)/obj/$(KT)/calls.o
$(KT_LOCKS): $(B)/obj/$(KT)/locks.o
$(KT_PROGS): T_LIBS = -lnl-genl-3 -lnl-3
$(KT_SIDE): $(B)/libzkern.a
$(KT_SIDE): T_LIBS = $(LIBZKERN_LIBS)
$(B)/obj/$(KT)/netlink.o $(B)/obj/$(KT)/reload.o: T_CPPFLAGS = $(TOOLS_CPPFLAGS)
# What maps nodes reads them with libzkern's inline functions, and falls back to its others.
KT_MAPS := $(addprefix $(B)/$(KT)/,map map_step map_race map_lib)
$(KT_MAPS): $(B)/libzkern.a
$(KT_MAPS:$(B)/%=$(B)/obj/%.o): T_CPPFLAGS = $(TOOLS_CPPFLAGS)

$(KT_PROGS32): $(B)/$(KT)/%32: $(KT)/%.c $(KT_LIB).c $(KT)/zk.h $(KT)/tap.h \
		$(KT)/mapped.h tools/lib/zkern.h tools/lib/zkern_map.h \
		include/uapi/linux/zkern.h $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC32    $@"
	@$(CC) -m32 -static $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) $(INCLUDES) -o $@ \
		$< $(KT_LIB).c

# BPF programs, and a module that uses ours. Each is found in the VM beside the tests.
BPF_CFLAGS := -target bpf -O2 -g -Wall -Werror -Iinclude/uapi \
	-I/usr/include/$(shell $(CC) -print-multiarch)

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	@echo "  SKEL    $@"
	@$(BPFTOOL) gen skeleton $< name $(notdir $*) >$@.new && mv $@.new $@

$(B)/bpf/%.bpf.o: %.bpf.c include/uapi/linux/zkern.h
	@mkdir -p $(@D)
	@echo "  BPF     $<"
	@$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(B)/obj/$(KT)/kfunc.o: $(B)/bpf/$(KT)/kfunc.skel.h
$(B)/obj/$(KT)/kfunc.o: T_CPPFLAGS = $(INCLUDES) -I$(B)/bpf/$(KT)
$(B)/$(KT)/kfunc: T_LIBS = -lnl-genl-3 -lnl-3 -lbpf

XDP := tools/examples/xdp
TEST_PROGS += $(B)/$(KT)/obey $(B)/$(KT)/kapi_user.ko
$(B)/bpf/$(XDP)/obey.bpf.o: $(XDP)/obey.h
$(B)/$(KT)/obey: $(XDP)/obey.c $(XDP)/obey.h $(B)/bpf/$(XDP)/obey.skel.h
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ZK_CFLAGS) -I$(XDP) -I$(B)/bpf/$(XDP) -o $@ $< -lbpf

$(B)/$(KT)/kapi_user.ko: $(KT)/kapi_user/kapi_user.c $(KT)/kapi_user/Kbuild zkern.ko
	@rm -rf $(B)/kapi_user && mkdir -p $(B)/kapi_user $(@D)
	@cp $(KT)/kapi_user/* $(B)/kapi_user/
	+@$(MAKE) -C $(KDIR) M=$(CURDIR)/$(B)/kapi_user W=1 \
		KBUILD_EXTRA_SYMBOLS=$(CURDIR)/Module.symvers CONFIG_DEBUG_INFO_BTF_MODULES= \
		KCFLAGS="-Werror -I$(CURDIR)/include -I$(CURDIR)/include/uapi" modules
	@cp $(B)/kapi_user/kapi_user.ko $@
