// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every node of a device's tree at one zxid, as a line of text each:
 *
 *   devdump DEVICE
 *
 * First "zxid digest nodes" (hex, hex, decimal); then path, data, ACL in hex ("-"
 * for null data, "?" for data that is withheld, "." for empty), and the stat's
 * numbers in decimal, as ZooKeeper's Stat has them. Status 1 with a message on
 * any error, also when a record is malformed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/zkern.h>

#define BUF_SIZE	(8 << 20)

static void die(const char *what)
{
	fprintf(stderr, "devdump: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put_hex(const unsigned char *p, size_t len)
{
	if (!len)
		putchar('.');
	while (len--)
		printf("%02x", *p++);
	putchar(' ');
}

static void put_node(const struct zkern_node *n)
{
	const struct zkern_stat *s = &n->stat;
	const unsigned char *p = (const unsigned char *)(n + 1);
	size_t data_len = n->data_len > 0 ? n->data_len : 0;

	if (n->flags & ZKERN_NODE_HIDDEN)
		data_len = 0;
	if (sizeof(*n) + n->path_len + data_len + n->acl_len > n->len) {
		errno = EBADMSG;
		die("a record is too short for what it holds");
	}
	put_hex(p, n->path_len);
	if (n->flags & ZKERN_NODE_HIDDEN)
		printf("? ");
	else if (n->data_len < 0)
		printf("- ");
	else
		put_hex(p + n->path_len, data_len);
	put_hex(p + n->path_len + data_len, n->acl_len);
	printf("%lld %lld %lld %lld %d %d %d %lld %d %d %lld\n",
	       (long long)s->czxid, (long long)s->mzxid, (long long)s->ctime,
	       (long long)s->mtime, s->version, s->cversion, s->aversion,
	       (long long)s->ephemeral_owner, s->data_len < 0 ? 0 : s->data_len,
	       s->num_children, (long long)s->pzxid);
}

int main(int argc, char **argv)
{
	struct zkern_snapshot snap = { .size = sizeof(snap) };
	char *buf = aligned_alloc(8, BUF_SIZE);
	ssize_t n, at;
	int fd;

	if (argc != 2 || !buf) {
		fprintf(stderr, "usage: devdump DEVICE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	if (ioctl(fd, ZKERN_SNAPSHOT, &snap))
		die("ZKERN_SNAPSHOT");
	printf("%llx %llx %llu\n", (unsigned long long)snap.zxid,
	       (unsigned long long)snap.digest, (unsigned long long)snap.nodes);
	while ((n = read(snap.fd, buf, BUF_SIZE)) > 0) {
		for (at = 0; at < n;) {
			const struct zkern_node *node = (const void *)(buf + at);

			if (n - at < (ssize_t)sizeof(*node) || node->len < sizeof(*node) ||
			    node->len > n - at || node->len % 8) {
				errno = EBADMSG;
				die("a record's length");
			}
			put_node(node);
			at += node->len;
		}
	}
	if (n < 0)
		die("reading the snapshot");
	return 0;
}
