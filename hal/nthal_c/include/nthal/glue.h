/* SPDX-License-Identifier: Apache-2.0 */
/* How Python enters a driver, and how a driver leaves for good.
 *
 * A violation stops the machine at the call that made it, as a bug check does: the routine does not return to the driver,
 * the call that entered the driver ends. A fault of the driver's own code (NULL, a wild pointer, a division by zero, the
 * end of the stack) ends it in the same way, and so does Ctrl-C. What Python does meanwhile is Python's: a signal then
 * goes to whom it went before.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <ucontext.h>
#include "nthal/print.h"
#include "nthal/wdf_types.h"

enum { NTHAL_RUNS, NTHAL_ERROR, NTHAL_FAULT, NTHAL_OVERFLOW, NTHAL_INTERRUPTED };
enum { NTHAL_READ, NTHAL_WRITE, NTHAL_TEXT };

struct nthal_entry { sigjmp_buf back; };
static struct nthal_entry *nthal_top;
static volatile int nthal_in_python = 1;

const char *nthal_file, *nthal_function;
int nthal_line;
volatile int nthal_stopped;
int nthal_signal, nthal_signal_code;
uint64_t nthal_fault_address;

static const int nthal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGINT};
enum { NTHAL_SIGNALS = sizeof nthal_signals / sizeof nthal_signals[0], NTHAL_PAGE = 0x1000, NTHAL_RESERVE = 0x80000 };
static struct sigaction nthal_before[NTHAL_SIGNALS];
static stack_t nthal_stack_before;
static char nthal_stack[0x10000] __attribute__((aligned(64)));
static pthread_t nthal_thread;
static char *nthal_lowest; /* the stack ends not far below */

/* The signal is not the driver's: it goes to whom it went before. */
static void nthal_pass_on(int number, siginfo_t *info, void *context)
{
    for (int n = 0; n < NTHAL_SIGNALS; n++)
        if (nthal_signals[n] == number) {
            if (number != SIGINT)
                sigaction(number, &nthal_before[n], NULL); /* it comes again, and ends the process as a rule */
            else if (nthal_before[n].sa_flags & SA_SIGINFO)
                nthal_before[n].sa_sigaction(number, info, context);
            else
                nthal_before[n].sa_handler(number);
        }
}

/* True for a fault between the stack pointer and the frame that entered the driver: there is no stack left. */
static int nthal_is_overflow(char *address, void *context)
{
    char *sp = nthal_lowest - 4 * NTHAL_RESERVE;
#if defined(__x86_64__)
    sp = (char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    sp = (char *)((ucontext_t *)context)->uc_mcontext.sp;
#endif
    (void)context;
    return address < nthal_lowest && address >= sp - NTHAL_PAGE && sp < (char *)nthal_top;
}

static void nthal_caught(int number, siginfo_t *info, void *context)
{
    if (!pthread_equal(pthread_self(), nthal_thread)) {
        if (number == SIGINT && !nthal_in_python)
            pthread_kill(nthal_thread, SIGINT);
        nthal_pass_on(number, info, context);
        return;
    }
    if (nthal_in_python || nthal_top == NULL) {
        nthal_pass_on(number, info, context);
        return;
    }
    nthal_signal = number;
    nthal_signal_code = info->si_code;
    nthal_fault_address = (uint64_t)(uintptr_t)info->si_addr;
    nthal_stopped = number == SIGINT ? NTHAL_INTERRUPTED : NTHAL_FAULT;
    if (number == SIGSEGV && info->si_code > 0 && nthal_is_overflow(info->si_addr, context))
        nthal_stopped = NTHAL_OVERFLOW;
    siglongjmp(nthal_top->back, 1);
}

/* Take the signals, and give the thread a stack for them: a driver may have used up its own. */
static void nthal_guard(void)
{
    struct sigaction ours = {.sa_sigaction = nthal_caught, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    stack_t stack = {.ss_sp = nthal_stack, .ss_size = sizeof nthal_stack};

    if (nthal_lowest == NULL || !pthread_equal(pthread_self(), nthal_thread)) {
        pthread_attr_t attributes;
        void *lowest = NULL;
        size_t size = 0;

        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            pthread_attr_getstack(&attributes, &lowest, &size);
            pthread_attr_destroy(&attributes);
        }
        nthal_lowest = (char *)lowest + (size / 4 < NTHAL_RESERVE ? size / 4 : NTHAL_RESERVE);
        nthal_thread = pthread_self();
    }
    sigaltstack(&stack, &nthal_stack_before);
    for (int n = 0; n < NTHAL_SIGNALS; n++) {
        sigaction(nthal_signals[n], &ours, &nthal_before[n]);
        if (nthal_signals[n] == SIGINT && !(nthal_before[n].sa_flags & SA_SIGINFO)
            && (nthal_before[n].sa_handler == SIG_IGN || nthal_before[n].sa_handler == SIG_DFL))
            sigaction(SIGINT, &nthal_before[n], NULL); /* nobody's: it stays so */
    }
}

static void nthal_unguard(void)
{
    for (int n = 0; n < NTHAL_SIGNALS; n++)
        sigaction(nthal_signals[n], &nthal_before[n], NULL);
    sigaltstack(&nthal_stack_before, NULL);
}

/* Every callback of a driver takes whole numbers and pointers, six at most: registers, on each ABI that Linux has. */
static uint64_t nthal_enter(void *function, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct nthal_entry entry, *outer = nthal_top;
    volatile uint64_t result = 0;

    nthal_stopped = NTHAL_RUNS;
    nthal_top = &entry;
    if (outer == NULL)
        nthal_guard();
    if (sigsetjmp(entry.back, 1) == 0) {
        nthal_in_python = 0;
        result = ((uint64_t (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t))function)(a, b, c, d, e, f);
    }
    nthal_in_python = 1;
    nthal_top = outer;
    if (outer == NULL)
        nthal_unguard();
    return result;
}

/* True if the driver could read the bytes, write them, or read a text that begins there. Python asks from a routine. */
static int nthal_reach(uint64_t address, uint64_t length, int how)
{
    struct nthal_entry entry, *outer = nthal_top;
    volatile int reached = 0;

    if (length == 0 || address + length - 1 < address)
        return length == 0;
    nthal_top = &entry;
    if (sigsetjmp(entry.back, 1) == 0) {
        volatile char *at = (volatile char *)(uintptr_t)address, *last = at + length - 1;
        char one;

        nthal_in_python = 0;
        if (how == NTHAL_TEXT)
            while (*at != 0)
                at++;
        else
            for (;; at = last - at < NTHAL_PAGE ? last : at + NTHAL_PAGE) {
                one = *at;
                if (how == NTHAL_WRITE)
                    *at = one;
                if (at == last)
                    break;
            }
        reached = 1;
    }
    nthal_in_python = 1;
    nthal_top = outer;
    if (nthal_stopped == NTHAL_INTERRUPTED)
        raise(SIGINT); /* Python's, as any that comes while it runs */
    nthal_stopped = NTHAL_RUNS;
    return reached;
}

static void nthal_leave(void)
{
    if ((char *)__builtin_frame_address(0) < nthal_lowest) { /* Python would find no stack */
        nthal_stopped = NTHAL_OVERFLOW;
        siglongjmp(nthal_top->back, 1);
    }
    nthal_in_python = 1;
}

static void nthal_return(void)
{
    if (nthal_stopped)
        siglongjmp(nthal_top->back, 1);
    nthal_in_python = 0;
}

extern void nthal_print(PCSTR Text);

ULONG DbgPrint(PCSTR Format, ...)
{
    struct nthal_text text = {"", 0};
    va_list arguments;

    va_start(arguments, Format);
    nthal_format(&text, Format, &arguments);
    va_end(arguments);
    nthal_print(text.bytes);
    return 0;
}

extern NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath);
static void *nthal_driver_entry(void) { return (void *)DriverEntry; }
