# SPDX-License-Identifier: GPL-2.0-or-later
# Run in the VM.
OD_PROGS := $(addprefix $(B)/selftests/ondevice/,devwrite gone)
TEST_PROGS += $(OD_PROGS)

$(OD_PROGS): $(B)/libzkern.a
$(OD_PROGS:$(B)/%=$(B)/obj/%.o): T_CPPFLAGS = $(TOOLS_CPPFLAGS)
