/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes and sessions of open files; see calls.h for who may touch what. */
#ifndef ZKERN_REQUEST_H
#define ZKERN_REQUEST_H

#include "file.h"

/* ------------------------------------------------------------ request.c */

/* Sleeps until it is answered, or what struct zkern_request says. */
long zkern_ioctl_request(struct zkern_file *zf, void __user *arg);
/* The last copy of the file is being closed, no call is under way in it. */
void zkern_session_release(struct zkern_file *zf);

/* Under calls->lock: @s is not needed any more. What it frees is put on @dead. */
void zkern_session_drop(struct zkern_session *s, struct list_head *dead);
/* Under calls->lock, @r is on no list: it is answered, and the list's reference on @dead. */
void zkern_req_finish(struct zkern_req *r, struct list_head *dead);
/* The same, without an answer. */
void zkern_req_fail(struct zkern_req *r, int error, u32 fate, struct list_head *dead);
void zkern_req_put(struct zkern_req *r);
/* Without the lock: gives back what the above left. */
void zkern_calls_bury(struct list_head *dead);

/* ------------------------------------------------------------ calls.c */

void zkern_calls_init(struct zkern_calls *calls);
/* Any: whether the owner would take something now. */
bool zkern_calls_wait(struct zkern_inst *inst);
/* Any: there may be something for the owner to take. */
void zkern_calls_wake(struct zkern_inst *inst);
/* Under inst->lock: the owner goes. What it has taken is lost, the rest waits. */
void zkern_calls_orphan(struct zkern_inst *inst);
/* Under inst->lock, the tree is gone: nothing is asked any more. */
void zkern_calls_end(struct zkern_inst *inst);

/* The owner's. -EPERM for others. */
long zkern_ioctl_take(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_answer(struct zkern_file *zf, void __user *arg);

#endif
