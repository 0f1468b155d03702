# SPDX-License-Identifier: GPL-2.0-or-later
# The simulator: the daemon's own objects, with its own disk, network and clients.
SIM := selftests/sim
SIM_OBJS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(SIM)/*.c))
TEST_PROGS += $(B)/$(SIM)/sim
$(B)/$(SIM)/sim: $(SIM_OBJS) $(ZKERND_LIB)
$(B)/$(SIM)/sim: T_LIBS = $(DAEMON_LIBS)
$(B)/obj/$(SIM)/%.o: T_CPPFLAGS = $(DAEMON_CPPFLAGS)
sim-libs:
	@echo $(DAEMON_LIBS)
.PHONY: sim-libs
