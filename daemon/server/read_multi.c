// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a multiRead is made of (MultiOperationRecord.java). Here its parts are only
 * passed over; read.c answers them.
 */
#include "daemon/proto/zookeeper.h"
#include "daemon/server/read_multi.h"

/* The ACLs of a create inside a multi; only to get past them. */
static void skip_acls(struct jr *in)
{
	for (s32 n = jr_int(in); n > 0 && !in->err; n--) {
		jr_int(in);
		jr_str(in);
		jr_str(in);
	}
}

/* Passes over one operation of a multi; false if there is no such kind. */
static bool skip_op(struct jr *in, s32 type)
{
	jr_str(in);
	switch (type) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATECONTAINER:
	case OP_CREATETTL:
		jr_str(in);
		skip_acls(in);
		jr_int(in);
		if (type == OP_CREATETTL)
			jr_long(in);
		return true;
	case OP_SETDATA:
		jr_str(in);
		jr_int(in);
		return true;
	case OP_DELETE:
	case OP_CHECK:
		jr_int(in);
		return true;
	case OP_GETDATA:
	case OP_GETCHILDREN:
		jr_bool(in);
		return true;
	}
	return false;
}

bool is_multi_read(s32 type)
{
	return type == OP_GETDATA || type == OP_GETCHILDREN;
}

bool multi_next(struct jr *in, s32 *type)
{
	*type = jr_int(in);
	bool done = jr_bool(in);

	jr_int(in);
	return !in->err && !done;
}

bool multi_parses(struct jr in)
{
	bool first = true, reads = false;
	s32 type;

	while (multi_next(&in, &type)) {
		if (!skip_op(&in, type))
			return false;
		if (!first && reads != is_multi_read(type))
			return false;
		reads = is_multi_read(type);
		first = false;
	}
	return !in.err;
}
