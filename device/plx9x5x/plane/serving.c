/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of plain registers, and the loop around a library's messages; serving.h says what for. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "serving.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000

/* How long messages and work alone keep Python from its turn, which whoever wakes us has to wait for. */
#define LONGEST_STAY_NS 20000000

static private_of private_pointer;

void serving_of_context(private_of how)
{
    private_pointer = how;
}

/* Plain accesses are whole dwords, as readl and writel make them: a part of one is the device's. */
static bool plain_access(struct register_page *page, char *buffer, int64_t offset, bool is_write)
{
    const struct plain_dword *dword = &page->dwords[offset / 4];
    uint32_t data, *value;

    if (!is_write) {
        if (dword->read < 0)
            return false;
        memcpy(buffer, &page->values[dword->read], 4);
        return true;
    }
    memcpy(&data, buffer, 4);
    if (dword->write < 0 || data & ~dword->known)
        return false;
    value = &page->values[dword->write];
    if ((*value ^ data) & (dword->watched | (dword->idle && !*dword->idle ? dword->stored : 0)))
        return false;
    *value = (*value & ~dword->stored) | (data & dword->stored);
    return true;
}

static bool answered(struct register_page *page, char *buffer, size_t count, int64_t offset, bool is_write)
{
    if (page == NULL || !page->open || count > page->bytes)
        return false;
    if (offset < 0 || offset > (int64_t)(page->bytes - count))
        return false;
    if (count == 4 && offset % 4 == 0 && plain_access(page, buffer, offset, is_write))
        return true;
    return page->part && page->part->access(page->part, buffer, count, offset, is_write);
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

static bool tells_cause(const struct page_watch *watch, size_t count, int64_t offset)
{
    if (!watch->line || !watch->line->level)
        return false;
    for (size_t at = 0; at < sizeof(watch->tells) / sizeof(*watch->tells); at++) {
        const struct status_bytes *bytes = &watch->tells[at];

        if (offset < (int64_t)bytes->offset + bytes->bytes && bytes->offset < offset + (int64_t)count &&
            (!bytes->shows || *bytes->shows))
            return true;
    }
    return false;
}

/* Count a read that was answered. */
static uint32_t count_read(struct page_watch *watch, const char *buffer, size_t count, int64_t offset)
{
    uint32_t value = 0, news = 0;

    memcpy(&value, buffer, count < 4 ? count : 4);
    if (offset != watch->offset || value != watch->value) {
        watch->offset = offset;
        watch->value = value;
        watch->same = 0;
    }
    if (++watch->same == PAGE_SPIN)
        news |= NEWS_SPIN;
    if (!tells_cause(watch, count, offset))
        return news;
    if (++watch->status == PAGE_RUN)
        news |= NEWS_STUCK;
    if (watch->status % PAGE_FEW == 0 && !watch->late) {
        const int64_t time = now();

        if (watch->status == PAGE_FEW)
            watch->since_ns = time;
        watch->late = time - watch->since_ns >= PAGE_LONG_NS;
        if (watch->late)
            news |= NEWS_LATE;
    }
    return news;
}

bool page_access(struct register_page *page, char *buffer, size_t count, int64_t offset, bool is_write)
{
    struct page_watch *watch = page ? page->watch : NULL;

    if (watch && watch->news && !is_write)
        return false;
    if (!answered(page, buffer, count, offset, is_write))
        return false;
    if (!watch)
        return true;
    if (is_write) {
        watch->same = 0;
        return true;
    }
    watch->news = count_read(watch, buffer, count, offset);
    return !watch->news;
}

int64_t page_read(struct register_page *page, int64_t offset, uint32_t count)
{
    uint32_t value = 0;

    if (count > sizeof(value) || !page_access(page, (char *)&value, count, offset, false))
        return -1;
    return value;
}

bool page_write(struct register_page *page, int64_t offset, uint32_t count, uint32_t value)
{
    return count <= sizeof(value) && page_access(page, (char *)&value, count, offset, true);
}

static ssize_t access_bar(int bar, void *context, char *buffer, size_t count, int64_t offset, bool is_write)
{
    struct serving *serving = private_pointer(context);

    if (page_access(serving->pages[bar], buffer, count, offset, is_write))
        return (ssize_t)count;
    serving->had_a_say = 1;
    return serving->device[bar](context, buffer, count, offset, is_write);
}

/* A library's callback is not told which region it is for, so there is one for each. */
#define BAR(n)                                                                                           \
    static ssize_t access_bar##n(void *context, char *buffer, size_t count, int64_t offset, bool is_write) \
    {                                                                                                    \
        return access_bar(n, context, buffer, count, offset, is_write);                                  \
    }
BAR(0)
BAR(1)
BAR(2)
BAR(3)
BAR(4)
BAR(5)

access_region region_access(int bar)
{
    static const access_region callbacks[] = {access_bar0, access_bar1, access_bar2,
                                              access_bar3, access_bar4, access_bar5};

    return bar >= 0 && bar < (int)(sizeof callbacks / sizeof *callbacks) ? callbacks[bar] : NULL;
}

static void on_irq_state(void *context, uint32_t start, uint32_t count, bool mask)
{
    struct serving *serving = private_pointer(context);

    (void)start, (void)count;
    /* An edge that is due again is sent after the messages that are there: one may take its cause back. */
    serving->line->masked = mask;
}

irq_state line_callback(void)
{
    return on_irq_state;
}

/* True once somebody wakes us; false for a message, a signal, or at the end of the time. */
static bool woken(const struct serving *serving, int64_t wait_ns, bool *message)
{
    struct pollfd fds[] = {{.fd = serving->client_fd, .events = POLLIN}, {.fd = serving->wake_fd, .events = POLLIN}};
    struct timespec time = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
    int ready = ppoll(fds, 2, wait_ns < 0 ? NULL : &time, NULL);

    *message = ready > 0 && fds[0].revents;
    return ready > 0 && fds[1].revents;
}

/* A batch of messages, and the work that the device can do in C. */
static enum served serve_batch(struct serving *serving, bool *whole, enum work *work)
{
    int taken = 1, messages = 0;

    *work = WORK_NONE;
    serving->had_a_say = 0;
    while (messages < serving->batch && (taken = serving->take(serving->context)) > 0)
        messages++;
    if (taken < 0) {
        serving->code = errno;
        return TAKING_FAILED;
    }
    *whole = taken > 0;
    if (serving->had_a_say)
        return DEVICE_HAD_A_SAY;
    line_retry(serving->line);
    if (serving->part)
        *work = serving->part->work(serving->part, serving->budget);
    return *work == WORK_ASK ? DEVICE_HAD_A_SAY : NOTHING_CAME;
}

enum served serve_messages(struct serving *serving, int64_t wait_ns)
{
    const int64_t began = now();
    int64_t busy_since = began;

    for (;;) {
        bool message, whole;
        enum work work;
        enum served why = serve_batch(serving, &whole, &work);
        int64_t time, wait = wait_ns;

        if (why != NOTHING_CAME)
            return why;
        time = now();
        if (work == WORK_MORE) {
            if (time - busy_since > LONGEST_STAY_NS)
                return DEVICE_HAD_A_SAY;
            continue;
        }
        /* After a whole batch others get their turn, and now and then in any case. */
        if (whole || wait_ns == 0 || time - busy_since > LONGEST_STAY_NS)
            return NOTHING_CAME;
        if (wait_ns > 0) {
            /* What the device waits for comes, however much a client reads meanwhile. */
            wait = wait_ns - (time - began);
            if (wait <= 0)
                return NOTHING_CAME;
        }
        if (woken(serving, wait, &message))
            return WOKEN;
        if (!message)
            return NOTHING_CAME;
        /* Who slept has not kept Python from anything. */
        if (now() - time > LONGEST_STAY_NS)
            busy_since = now();
    }
}
