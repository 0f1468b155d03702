/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What vm-exec (host) and vm-agent (guest) say to each other over one TCP
 * connection per command: frames of a type, a length (little endian) and that
 * many bytes.
 *
 *   host:  TOKEN, ARG..., ENV..., GO, then STDIN... and one STDIN of length 0
 *   guest: HELLO after a good TOKEN; OUT and ERR as the command writes; EXIT
 *          with its status as the last frame
 *
 * A host that closes early ends the command: the agent kills its session.
 */
#ifndef ZKERN_VM_WIRE_H
#define ZKERN_VM_WIRE_H

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define VM_FRAME_MAX	65536
#define VM_TOKEN_MAX	128
#define VM_ARGS_MAX	1024

enum vm_frame_type {
	VM_TOKEN = 'T',
	VM_HELLO = 'H',
	VM_ARG = 'A',
	VM_ENV = 'E',
	VM_GO = 'G',
	VM_STDIN = 'I',
	VM_OUT = 'O',
	VM_ERR = 'R',
	VM_EXIT = 'X',
};

struct vm_frame {
	uint32_t type;
	uint32_t len;
};

/* All of @len bytes or an error (negative errno). Blocking descriptor. */
static inline int vm_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= n;
	}
	return 0;
}

/* All of @len bytes; -EPIPE if the other side closed before. */
static inline int vm_read_all(int fd, void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!n)
			return -EPIPE;
		p += n;
		len -= n;
	}
	return 0;
}

/* One frame out; @len at most VM_FRAME_MAX. */
static inline int vm_send(int fd, int type, const void *buf, uint32_t len)
{
	struct vm_frame f = { .type = htole32(type), .len = htole32(len) };
	int err;

	err = vm_write_all(fd, &f, sizeof(f));
	return err ? err : vm_write_all(fd, buf, len);
}

/*
 * One frame in, into @buf of VM_FRAME_MAX + 1 bytes; a NUL is put behind it.
 * Returns the type, or a negative errno (-EPROTO for a length out of bounds).
 */
static inline int vm_recv(int fd, char *buf, uint32_t *len)
{
	struct vm_frame f;
	int err;

	err = vm_read_all(fd, &f, sizeof(f));
	if (err)
		return err;
	*len = le32toh(f.len);
	if (*len > VM_FRAME_MAX)
		return -EPROTO;
	err = vm_read_all(fd, buf, *len);
	if (err)
		return err;
	buf[*len] = '\0';
	return le32toh(f.type);
}

#endif
