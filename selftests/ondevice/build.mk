# SPDX-License-Identifier: GPL-2.0-or-later
# Runs in the VM.
OD_PROG := $(B)/selftests/ondevice/devwrite
TEST_PROGS += $(OD_PROG)

$(OD_PROG): $(B)/libzkern.a
$(B)/obj/selftests/ondevice/devwrite.o: T_CPPFLAGS = $(TOOLS_CPPFLAGS)
