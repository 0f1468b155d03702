# SPDX-License-Identifier: GPL-2.0-or-later
#
# One program for the VM, of all the sources here.

ST := selftests/stress
ST_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(sort $(wildcard $(ST)/*.c))) $(B)/obj/selftests/kernel/zk.o
TEST_PROGS += $(B)/$(ST)/stress

$(B)/$(ST)/stress: $(ST_OBJS)
