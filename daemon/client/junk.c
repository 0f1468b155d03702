// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What talks to us that is no client of ours: a guess, from the first bytes of a
 * connection, for the log.
 */
#include "daemon/client/internal.h"

struct mark {
	const char *bytes;
	u8 len;
	const char *name;
};

#define MARK(bytes, name)	{ bytes, sizeof(bytes) - 1, name }

static const struct mark marks[] = {
	MARK("\x16\x03", "a TLS hello"),
	MARK("\x80\x2e\x01", "an SSL 2 hello"),
	MARK("GET ", "HTTP"),
	MARK("HEAD ", "HTTP"),
	MARK("POST ", "HTTP"),
	MARK("PUT ", "HTTP"),
	MARK("DELETE ", "HTTP"),
	MARK("OPTIONS ", "HTTP or RTSP"),
	MARK("CONNECT ", "HTTP"),
	MARK("TRACE ", "HTTP"),
	MARK("PATCH ", "HTTP"),
	MARK("PRI * HTTP/2", "HTTP/2"),
	MARK("SSH-", "SSH"),
	MARK("EHLO", "SMTP"),
	MARK("HELO", "SMTP"),
	MARK("HELP", "a scanner's HELP"),
	MARK("USER ", "FTP or POP"),
	MARK("*1\r\n", "Redis"),
	MARK("stats\r\n", "memcached"),
	MARK("\x03\0\0", "RDP"),
	MARK("\x05\x01", "SOCKS"),
	MARK("\x05\x02", "SOCKS"),
	MARK("\x04\x01", "SOCKS"),
	MARK("JRMI", "Java RMI"),
	MARK("\xac\xed\0\x05", "Java serialisation"),
	MARK("<?xml", "XML"),
	MARK("{\"", "JSON"),
	MARK("\r\n", "an empty line"),
	MARK("\n", "an empty line"),
	/* whole frames for us, by their lengths, but no connect requests */
	MARK("\0\0\0\x85\xff" "SMB", "SMB"),
	MARK("\0\0\0\xa4\xff" "SMB", "SMB"),
};

static bool is_text(const u8 *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((p[i] < 0x20 && p[i] != '\r' && p[i] != '\n' && p[i] != '\t') || p[i] > 0x7e)
			return false;
	return len;
}

const char *junk_name(const u8 *p, size_t len)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (len >= marks[i].len && !memcmp(p, marks[i].bytes, marks[i].len))
			return marks[i].name;
	return is_text(p, len < 16 ? len : 16) ? "text" : "no protocol that we know";
}
