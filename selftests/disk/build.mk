# SPDX-License-Identifier: GPL-2.0-or-later
# The disk's test program, against the daemon's own objects; with sanitizers too.
DT := selftests/disk
DT_SRC := $(wildcard $(DT)/*.c)
DT_OBJS := $(call objs,$(DT_SRC))
DT_DAEMON := $(wildcard daemon/disk/*.c daemon/store/*.c daemon/store/compat/*.c \
	daemon/base/*.c daemon/zab/ensemble*.c kmod/tree/*.c)
TEST_PROGS += $(B)/$(DT)/disk $(B)/$(DT)/disk_san $(B)/$(DT)/faults.so
$(DT_OBJS): T_CPPFLAGS = $(DAEMON_CPPFLAGS)
$(B)/$(DT)/disk: $(DT_OBJS) $(ZKERND_LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -o $@ $(DT_OBJS) $(ZKERND_LIB) $(DAEMON_LIBS)

$(B)/$(DT)/disk_san: $(DT_SRC) $(DT_DAEMON) \
		$(wildcard daemon/*/*.h daemon/store/compat/*/*.h kmod/tree/*.h $(DT)/*.h) $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) -Wno-unused-parameter \
		$(DAEMON_CPPFLAGS) -O1 -fsanitize=address,undefined \
		-fno-sanitize-recover=all -fno-omit-frame-pointer \
		-o $@ $(DT_SRC) $(DT_DAEMON) $(DAEMON_LIBS)

# Preloaded into the daemon by other suites.
$(B)/$(DT)/faults.so: $(DT)/faults.c $(DT)/faults.h $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) $(INCLUDES) -fPIC -shared -o $@ $< -ldl
