# SPDX-License-Identifier: GPL-2.0-or-later
#
# One program for the VM, of all the sources here.

STRESS := selftests/stress
STRESS_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(sort $(wildcard $(STRESS)/*.c))) $(B)/obj/selftests/kernel/zk.o
TEST_PROGS += $(B)/$(STRESS)/stress

$(B)/$(STRESS)/stress: $(STRESS_OBJS)
