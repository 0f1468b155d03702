/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints. They cost a patched-out jump while nobody listens; nothing is
 * computed for them outside of trace_zkern_*_enabled().
 *
 * Paths are cut to ZKERN_TRACE_PATH bytes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM zkern

#if !defined(ZKERN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ZKERN_TRACE_H

#include <linux/minmax.h>
#include <linux/tracepoint.h>
#include <linux/zkern.h>

#ifndef ZKERN_TRACE_PATH
#define ZKERN_TRACE_PATH	255

/* What a zkern_read was; beside the commands of the device, those of netlink. */
#define ZKERN_TRACE_GET		0
#define ZKERN_TRACE_EXISTS	1
#define ZKERN_TRACE_ACL		2
#define ZKERN_TRACE_CHILDREN	3
#define ZKERN_TRACE_SUBTREE	4
#define ZKERN_TRACE_DUMP	5	/* read(2) of a snapshot: @path is its top */
#endif

#define show_zkern_read(op)			\
	__print_symbolic(op,			\
		{ ZKERN_TRACE_GET, "get" },	\
		{ ZKERN_TRACE_EXISTS, "exists" }, \
		{ ZKERN_TRACE_ACL, "acl" },	\
		{ ZKERN_TRACE_CHILDREN, "children" }, \
		{ ZKERN_TRACE_SUBTREE, "subtree" }, \
		{ ZKERN_TRACE_DUMP, "dump" })

#define show_zkern_state(state)					\
	__print_symbolic(state,					\
		{ ZKERN_STATE_EMPTY, "empty" },			\
		{ ZKERN_STATE_LEADING, "leading" },		\
		{ ZKERN_STATE_FOLLOWING, "following" },		\
		{ ZKERN_STATE_OBSERVING, "observing" },		\
		{ ZKERN_STATE_DISCONNECTED, "disconnected" },	\
		{ ZKERN_STATE_ORPHANED, "orphaned" },		\
		{ ZKERN_STATE_STANDALONE, "standalone" })

/*
 * One node or child list read. @zxid: that the answer is exact at; @bytes of
 * data or entries handed over; @ns that it took.
 */
TRACE_EVENT(zkern_read,
	TP_PROTO(u32 instance, u32 op, const char *path, u32 path_len, u64 zxid, u32 bytes,
		 int err, u64 ns),

	TP_ARGS(instance, op, path, path_len, zxid, bytes, err, ns),

	TP_STRUCT__entry(
		__field(u32, instance)
		__field(u32, op)
		__field(u64, zxid)
		__field(u64, ns)
		__field(u32, bytes)
		__field(int, err)
		__string_len(path, path, min_t(u32, path_len, ZKERN_TRACE_PATH))
	),

	TP_fast_assign(
		__entry->instance = instance;
		__entry->op = op;
		__entry->zxid = zxid;
		__entry->ns = ns;
		__entry->bytes = bytes;
		__entry->err = err;
		__assign_str_len(path, path, min_t(u32, path_len, ZKERN_TRACE_PATH));
	),

	TP_printk("instance=%u op=%s path=%s zxid=0x%llx bytes=%u err=%d ns=%llu",
		  __entry->instance, show_zkern_read(__entry->op), __get_str(path),
		  __entry->zxid, __entry->bytes, __entry->err, __entry->ns)
);

/* One transaction applied, or refused (@err; then nothing of it is there). */
TRACE_EVENT(zkern_apply,
	TP_PROTO(u32 instance, u64 zxid, u32 n_ops, int err, u64 ns),

	TP_ARGS(instance, zxid, n_ops, err, ns),

	TP_STRUCT__entry(
		__field(u64, zxid)
		__field(u64, ns)
		__field(u32, instance)
		__field(u32, n_ops)
		__field(int, err)
	),

	TP_fast_assign(
		__entry->instance = instance;
		__entry->zxid = zxid;
		__entry->n_ops = n_ops;
		__entry->err = err;
		__entry->ns = ns;
	),

	TP_printk("instance=%u zxid=0x%llx ops=%u err=%d ns=%llu", __entry->instance,
		  __entry->zxid, __entry->n_ops, __entry->err, __entry->ns)
);

/*
 * A write or another request to the owner. @op as of struct zkern_request; @bytes of the
 * request; @zxid, @code: of the answer; @err if there is none; @ns from the call to there.
 */
TRACE_EVENT(zkern_request,
	TP_PROTO(u32 instance, s32 op, u32 bytes, u64 zxid, s32 code, int err, u64 ns),

	TP_ARGS(instance, op, bytes, zxid, code, err, ns),

	TP_STRUCT__entry(
		__field(u64, zxid)
		__field(u64, ns)
		__field(u32, instance)
		__field(s32, op)
		__field(u32, bytes)
		__field(s32, code)
		__field(int, err)
	),

	TP_fast_assign(
		__entry->instance = instance;
		__entry->op = op;
		__entry->bytes = bytes;
		__entry->zxid = zxid;
		__entry->code = code;
		__entry->err = err;
		__entry->ns = ns;
	),

	TP_printk("instance=%u op=%d bytes=%u zxid=0x%llx code=%d err=%d ns=%llu",
		  __entry->instance, __entry->op, __entry->bytes, __entry->zxid,
		  __entry->code, __entry->err, __entry->ns)
);

/*
 * A lock was asked for (@mode, enum zkern_lock_mode) or given back (NONE). @token as it was
 * had; @ns from the call until it was there, or was not to be had (@err).
 */
TRACE_EVENT(zkern_lock,
	TP_PROTO(u32 instance, const char *path, u32 path_len, u32 mode, u64 token_hi,
		 u64 token_lo, int err, u64 ns),

	TP_ARGS(instance, path, path_len, mode, token_hi, token_lo, err, ns),

	TP_STRUCT__entry(
		__field(u64, token_hi)
		__field(u64, token_lo)
		__field(u64, ns)
		__field(u32, instance)
		__field(u32, mode)
		__field(int, err)
		__string_len(path, path, min_t(u32, path_len, ZKERN_TRACE_PATH))
	),

	TP_fast_assign(
		__entry->instance = instance;
		__entry->mode = mode;
		__entry->token_hi = token_hi;
		__entry->token_lo = token_lo;
		__entry->err = err;
		__entry->ns = ns;
		__assign_str_len(path, path, min_t(u32, path_len, ZKERN_TRACE_PATH));
	),

	TP_printk("instance=%u path=%s mode=%s token=%016llx%016llx err=%d ns=%llu",
		  __entry->instance, __get_str(path),
		  __print_symbolic(__entry->mode, { ZKERN_LOCK_NONE, "none" },
				   { ZKERN_LOCK_SHARED, "shared" },
				   { ZKERN_LOCK_EXCLUSIVE, "exclusive" }),
		  __entry->token_hi, __entry->token_lo, __entry->err, __entry->ns)
);

/* An instance was made, or its state or tree changed. */
TRACE_EVENT(zkern_state,
	TP_PROTO(u32 instance, u32 state, u64 zxid),

	TP_ARGS(instance, state, zxid),

	TP_STRUCT__entry(
		__field(u64, zxid)
		__field(u32, instance)
		__field(u32, state)
	),

	TP_fast_assign(
		__entry->instance = instance;
		__entry->state = state;
		__entry->zxid = zxid;
	),

	TP_printk("instance=%u state=%s zxid=0x%llx", __entry->instance,
		  show_zkern_state(__entry->state), __entry->zxid)
);

/* A snapshot was made (@open) or closed. */
TRACE_EVENT(zkern_snapshot,
	TP_PROTO(u32 instance, bool open, u64 zxid, bool revoked),

	TP_ARGS(instance, open, zxid, revoked),

	TP_STRUCT__entry(
		__field(u64, zxid)
		__field(u32, instance)
		__field(bool, open)
		__field(bool, revoked)
	),

	TP_fast_assign(
		__entry->instance = instance;
		__entry->open = open;
		__entry->zxid = zxid;
		__entry->revoked = revoked;
	),

	TP_printk("instance=%u %s zxid=0x%llx%s", __entry->instance,
		  __entry->open ? "open" : "close", __entry->zxid,
		  __entry->revoked ? " revoked" : "")
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH kmod
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
