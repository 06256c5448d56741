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

static private_of private_pointer;

void serving_of_context(private_of how)
{
    private_pointer = how;
}

/* Plain accesses are whole dwords, as readl and writel make them: a part of one is the device's. */
bool page_access(struct register_page *page, char *buffer, size_t count, int64_t offset, bool is_write)
{
    const struct plain_dword *dword;
    uint32_t data, *value;

    if (page == NULL || !page->open || count != 4)
        return false;
    if (offset < 0 || offset % 4 || offset > (int64_t)page->bytes - 4)
        return false;
    dword = &page->dwords[offset / 4];
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
    *value = (*value & ~dword->stored) | (data & dword->stored);
    return true;
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

/* True once somebody wakes us; false for a message, a signal, or at the end of the time. */
static bool woken(const struct serving *serving, int64_t wait_ns, bool *message)
{
    struct pollfd fds[] = {{.fd = serving->client_fd, .events = POLLIN}, {.fd = serving->wake_fd, .events = POLLIN}};
    struct timespec time = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
    int ready = ppoll(fds, 2, wait_ns < 0 ? NULL : &time, NULL);

    *message = ready > 0 && fds[0].revents;
    return ready > 0 && fds[1].revents;
}

enum served serve_messages(struct serving *serving, int64_t wait_ns)
{
    bool message;

    for (;;) {
        int taken = 1, messages = 0;

        serving->had_a_say = 0;
        while (messages < serving->batch && (taken = serving->take(serving->context)) > 0)
            messages++;
        if (taken < 0) {
            serving->code = errno;
            return TAKING_FAILED;
        }
        if (serving->had_a_say || (serving->restless && messages))
            return DEVICE_HAD_A_SAY;
        /* After a whole batch others get their turn: signals among them, which end this process. */
        if (taken > 0 || wait_ns == 0)
            return NOTHING_CAME;
        if (woken(serving, wait_ns, &message))
            return WOKEN;
        if (!message)
            return NOTHING_CAME;
    }
}
