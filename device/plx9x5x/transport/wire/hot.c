/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a register access through a socket; hot.h says what for, codec.py what stands where. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "hot.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define READ_MOST 65536u
#define SET_IRQS 8
#define REGION_READ 9
#define REGION_WRITE 10
#define REPLY 1u
#define NO_REPLY 0x10u
#define ERROR 0x20u

/* A message's header, and what a region access has behind it; little-endian, as the protocol and the host are. */
struct head {
    uint16_t id, command;
    uint32_t size, flags, error;
};

struct region_access {
    struct head head;
    uint64_t offset;
    uint32_t region, count;
};

struct set_irqs {
    struct head head;
    uint32_t argsz, flags, index, start, count;
};

_Static_assert(sizeof(struct head) == 16 && sizeof(struct region_access) == 32 && sizeof(struct set_irqs) == 36,
               "no padding");

#define INTX 0u
#define UNMASK 0x11u /* of one interrupt, without data */
#define MASK 0x09u

#define DATA_MOST 8u /* bytes of an access that are answered here */
#define ASK_MOST 4u  /* of one that the device is asked for */

static uint32_t have(const struct wire *wire)
{
    return wire->end - wire->begin;
}

uint32_t wire_whole(const struct wire *wire)
{
    struct head head;

    if (have(wire) < sizeof(head))
        return 0;
    memcpy(&head, wire->buffer + wire->begin, sizeof(head));
    if (head.size < sizeof(head) || head.size > wire->most)
        return wire->begin + (uint32_t)sizeof(head);
    return have(wire) < head.size ? 0 : wire->begin + head.size;
}

/* What the message that has begun lacks, or its header. */
static uint32_t missing(const struct wire *wire)
{
    struct head head;

    if (have(wire) < sizeof(head))
        return (uint32_t)sizeof(head) - have(wire);
    memcpy(&head, wire->buffer + wire->begin, sizeof(head));
    return head.size > have(wire) && head.size <= wire->most ? head.size - have(wire) : 1;
}

static void note_fds(struct wire *wire, struct msghdr *message)
{
    const uint32_t most = sizeof(wire->fds) / sizeof(*wire->fds);

    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
        size_t bytes = control->cmsg_len - CMSG_LEN(0);

        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
            int fd;

            memcpy(&fd, CMSG_DATA(control) + at, sizeof(fd));
            if (wire->fd_count < most) {
                wire->fds[wire->fd_count++] = fd;
            } else {
                wire->torn = 1;
                if (wire->spare_count < sizeof(wire->spare) / sizeof(*wire->spare))
                    wire->spare[wire->spare_count++] = fd;
                else
                    close(fd);
            }
        }
        wire->fds_end = wire->end;
    }
    if (message->msg_flags & MSG_CTRUNC) {
        wire->torn = 1;
        wire->fds_end = wire->end;
    }
}

int64_t wire_fill(struct wire *wire)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(((struct wire *)0)->spare))];
    } control;
    struct iovec into;
    struct msghdr message = {
        .msg_iov = &into, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t count;

    if (wire->begin) {
        memmove(wire->buffer, wire->buffer + wire->begin, have(wire));
        wire->fds_end -= wire->begin;
        wire->end -= wire->begin;
        wire->begin = 0;
    }
    into.iov_base = wire->buffer + wire->end;
    into.iov_len = wire->fd_count || wire->torn ? missing(wire) : READ_MOST;
    if (into.iov_len > wire->room - wire->end)
        into.iov_len = wire->room - wire->end;
    count = recvmsg(wire->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0)
        return -errno;
    wire->end += (uint32_t)count;
    wire->received += (uint64_t)count;
    note_fds(wire, &message);
    return count;
}

/* Send an answer; what the client does not take at once is left for Python. False if there is no client any more. */
static bool answer(struct wire *wire, const uint8_t *data, size_t length)
{
    /* Answers that Python has not got rid of go first. */
    ssize_t sent = wire->blocked ? 0 : send(wire->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return false;
        sent = 0;
    }
    if ((size_t)sent < length) {
        wire->unsent_count = (uint32_t)(length - (size_t)sent);
        memcpy(wire->unsent, data + sent, wire->unsent_count);
        wire->blocked = 1;
        wire->serving->had_a_say = 1;
    }
    return true;
}

enum taken { TAKEN, NOT_TAKEN, CLIENT_GONE };

/* Take the whole message at `begin` if it is an access that a page or the device can answer in a word. */
static enum taken take_access(struct wire *wire)
{
    struct region_access access;
    struct {
        struct region_access access;
        char data[DATA_MOST];
    } reply;
    const uint8_t *at = wire->buffer + wire->begin;
    int64_t value;
    bool is_write;
    size_t length;

    if (wire->fd_count || wire->torn || wire->blocked || have(wire) < sizeof(access))
        return NOT_TAKEN;
    memcpy(&access, at, sizeof(access));
    is_write = access.head.command == REGION_WRITE;
    if (!is_write && access.head.command != REGION_READ)
        return NOT_TAKEN;
    if (access.region >= sizeof(wire->serving->pages) / sizeof(*wire->serving->pages) || !access.count ||
        access.count > DATA_MOST || access.head.size != sizeof(access) + (is_write ? access.count : 0) ||
        (access.head.flags != 0 && (access.head.flags != NO_REPLY || !is_write)))
        return NOT_TAKEN;
    if (is_write)
        memcpy(reply.data, at + sizeof(access), access.count);
    value = 0;
    if (page_access(wire->serving->pages[access.region], reply.data, access.count, (int64_t)access.offset, is_write)) {
        wire->begin += access.head.size;
    } else {
        uint32_t data = 0;

        if (!wire->ask || access.count > ASK_MOST || access.count > wire->sizes[access.region] ||
            access.offset > wire->sizes[access.region] - access.count)
            return NOT_TAKEN;
        if (is_write)
            memcpy(&data, reply.data, access.count);
        /* First: the device may have more messages taken before it answers. */
        wire->begin += access.head.size;
        wire->serving->had_a_say = 1;
        value = wire->ask(access.region, access.offset, access.count, data, is_write);
        if (!is_write)
            memcpy(reply.data, &value, access.count);
    }
    if (access.head.flags & NO_REPLY)
        return TAKEN;
    length = value < 0 ? sizeof(access.head) : sizeof(access) + (is_write ? 0 : access.count);
    reply.access = access;
    reply.access.head.size = (uint32_t)length;
    reply.access.head.flags = value < 0 ? REPLY | ERROR : REPLY;
    reply.access.head.error = value < 0 ? (uint32_t)-value : 0;
    return answer(wire, (const uint8_t *)&reply, length) ? TAKEN : CLIENT_GONE;
}

/* Take the whole message at `begin` if it is MASK or UNMASK of INTx, as `on_irq_state` of serving.c does. */
static enum taken take_mask(struct wire *wire)
{
    struct set_irqs asked;

    if (wire->fd_count || wire->torn || wire->blocked || have(wire) < sizeof(asked))
        return NOT_TAKEN;
    memcpy(&asked, wire->buffer + wire->begin, sizeof(asked));
    if (asked.head.command != SET_IRQS || asked.head.size != sizeof(asked) || asked.head.flags ||
        asked.argsz < sizeof(asked) - sizeof(asked.head) || asked.index != INTX || asked.start || asked.count != 1 ||
        (asked.flags != UNMASK && asked.flags != MASK))
        return NOT_TAKEN;
    wire->begin += (uint32_t)sizeof(asked);
    wire->serving->line->masked = asked.flags == MASK;
    asked.head.size = (uint32_t)sizeof(asked.head);
    asked.head.flags = REPLY;
    asked.head.error = 0;
    return answer(wire, (const uint8_t *)&asked.head, sizeof(asked.head)) ? TAKEN : CLIENT_GONE;
}

static enum taken take_whole(struct wire *wire)
{
    enum taken taken;

    if (wire->ours)
        return NOT_TAKEN;
    taken = take_access(wire);
    return taken == NOT_TAKEN ? take_mask(wire) : taken;
}

static int take(void *context)
{
    struct wire *wire = context;
    bool came = false;

    while (!wire->ours && !wire_whole(wire)) {
        int64_t count = wire_fill(wire);

        if (count == -EAGAIN || count == -EINTR) {
            /* A message that has begun is watched over by Python. */
            if (came)
                wire->serving->had_a_say = 1;
            return 0;
        }
        if (count <= 0) {
            errno = count ? (int)-count : ENOTCONN;
            return -1;
        }
        came = true;
    }
    switch (take_whole(wire)) {
    case TAKEN:
        return 1;
    case CLIENT_GONE:
        errno = ENOTCONN;
        return -1;
    case NOT_TAKEN:
        break;
    }
    wire->ours = 1;
    wire->serving->had_a_say = 1;
    return 0;
}

/* Have the kernel signal an eventfd, which it does without waiting, at the end of a read; signaller.py says why. */
static int signal_by_read(const struct wire *wire)
{
    static const struct timespec now;
    struct io_event done[4];
    char byte;
    struct iocb read = {
        .aio_lio_opcode = IOCB_CMD_PREAD,
        .aio_fildes = (uint32_t)wire->aio_fd,
        .aio_buf = (uintptr_t)&byte,
        .aio_nbytes = 1,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)wire->edge_fd,
    };
    struct iocb *reads[] = {&read};

    if (syscall(SYS_io_submit, wire->aio_context, 1L, reads) != 1)
        return -1;
    syscall(SYS_io_getevents, wire->aio_context, 0L, 4L, done, &now);
    return 0;
}

static int edge(void *context, uint32_t subindex)
{
    const struct wire *wire = context;
    struct pollfd room = {.fd = wire->edge_fd, .events = POLLOUT};
    const uint64_t one = 1;

    (void)subindex;
    if (wire->edge_fd < 0)
        return -1;
    if (wire->aio_context && (signal_by_read(wire) == 0 || (errno != ENOSYS && errno != EPERM)))
        return 0;
    /* Full: it has not been read for ages, and the client knows. */
    if (poll(&room, 1, 0) == 0)
        return 0;
    return write(wire->edge_fd, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN ? 0 : -1;
}

take_message wire_taker(void)
{
    return take;
}

send_edge wire_edger(void)
{
    return edge;
}
