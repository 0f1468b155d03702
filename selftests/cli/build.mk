# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs of libzkern's users that the suite runs against a server.

CLI_T := $(B)/selftests/cli/mapped_tcp
TEST_PROGS += $(CLI_T)

$(CLI_T): $(B)/libzkern.a
$(CLI_T): T_LIBS = $(LIBZKERN_LIBS)
$(CLI_T:$(B)/%=$(B)/obj/%.o): T_CPPFLAGS = $(TOOLS_CPPFLAGS)
