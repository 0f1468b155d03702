// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reader and the writer of jute: the input's first bytes, up to a zero, are the
 * record's form, a letter a field; the rest is read by it. Whatever was read must lie
 * within the input, nothing may be read after an error, and what is written from it
 * must be the bytes that it was read from.
 */
#include "daemon/proto/jute.h"
#include "selftests/fuzz/drive.h"

static void field(u8 form, struct jr *in, struct jw *out)
{
	const u8 *before = in->p;
	int err = in->err;
	struct jstr s;
	bool b;

	switch (form % 4) {
	case 0:
		jw_int(out, jr_int(in));
		break;
	case 1:
		jw_long(out, jr_long(in));
		break;
	case 2:
		b = jr_bool(in);
		jw_bytes(out, b ? before : (const u8 *)"", 1);
		break;
	default:
		s = jr_str(in);
		if (s.len >= 0 && (s.p < before || s.p + s.len > in->end))
			fuzz_fail("a string outside of what was read");
		if (s.len < 0 && s.p)
			fuzz_fail("a null string that is somewhere");
		jw_str(out, s.p, s.len);
	}
	if (in->p < before || in->p > in->end)
		fuzz_fail("the reader is out of bounds");
	if (err && (in->p != before || in->err != err))
		fuzz_fail("read on after an error");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	const u8 *zero = len ? memchr(data, 0, len) : NULL;
	struct jr in;
	struct jw out;

	if (!zero)
		return 0;
	jr_init(&in, zero + 1, data + len - zero - 1);
	jw_init(&out, 0);
	for (const u8 *form = data; form < zero && !in.err; form++)
		field(*form, &in, &out);
	if (!in.err && (out.err || out.len != (size_t)(in.p - zero - 1) ||
			(out.len && memcmp(out.buf, zero + 1, out.len))))
		fuzz_fail("written otherwise than read");
	jw_free(&out);
	return 0;
}
