# SPDX-License-Identifier: GPL-2.0-or-later
#
# The core thread's parts, each by itself. Allocations can be made to fail: the
# allocator is wrapped (core.h).

CORE_T := selftests/core
CORE_T_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(CORE_T)/*_test.c))
TEST_PROGS += $(B)/$(CORE_T)/core
$(B)/$(CORE_T)/core: $(CORE_T_OBJS) $(ZKERND_LIB)
$(B)/$(CORE_T)/core: T_LIBS = $(DAEMON_LIBS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(B)/obj/$(CORE_T)/%.o: T_CPPFLAGS = $(DAEMON_CPPFLAGS)
