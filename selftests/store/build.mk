# SPDX-License-Identifier: GPL-2.0-or-later
# The store's test, against the daemon's own objects; with sanitizers too.
ST := selftests/store
ST_SRC := $(wildcard $(ST)/*.c)
ST_OBJS := $(call objs,$(ST_SRC))
ST_DAEMON := $(wildcard daemon/store/*.c daemon/store/compat/*.c daemon/base/log.c daemon/base/sink.c \
	kmod/tree/*.c)
# what an older module refuses
ST_WRAP := -Wl,--wrap=ioctl
TEST_PROGS += $(B)/$(ST)/store $(B)/$(ST)/store_san
$(ST_OBJS): T_CPPFLAGS = $(DAEMON_CPPFLAGS)
$(B)/$(ST)/store: $(ST_OBJS) $(ZKERND_LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ZK_LDFLAGS) -o $@ $(ST_OBJS) $(ZKERND_LIB) $(DAEMON_LIBS) $(ST_WRAP)

$(B)/$(ST)/store_san: $(ST_SRC) $(ST_DAEMON) $(wildcard daemon/store/*.h $(ST)/*.h) $(B)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(filter-out $(SANFLAGS),$(ZK_CFLAGS)) -Wno-unused-parameter \
		$(DAEMON_CPPFLAGS) -O1 -fsanitize=address,undefined \
		-fno-sanitize-recover=all -fno-omit-frame-pointer \
		-o $@ $(ST_SRC) $(ST_DAEMON) $(DAEMON_LIBS) $(ST_WRAP)
