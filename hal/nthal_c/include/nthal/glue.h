/* SPDX-License-Identifier: Apache-2.0 */
/* How Python enters a driver, and how a driver leaves for good.
 *
 * A violation stops the machine at the call that made it, as a bug check does: the routine does not return to the driver,
 * the call that entered the driver ends. A fault of the driver's own code (NULL, a wild pointer) ends it in the same way.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include "nthal/print.h"
#include "nthal/wdf_types.h"

enum { NTHAL_RUNS, NTHAL_ERROR, NTHAL_FAULT };

struct nthal_entry { sigjmp_buf back; };
static struct nthal_entry *nthal_top;
static volatile int nthal_in_python = 1;

const char *nthal_file, *nthal_function;
int nthal_line;
volatile int nthal_stopped;
uint64_t nthal_fault_address;

static void nthal_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (nthal_in_python || nthal_top == NULL) {
        signal(number, SIG_DFL); /* not the driver's: it comes again, and ends the process */
        return;
    }
    nthal_fault_address = (uint64_t)(uintptr_t)info->si_addr;
    nthal_stopped = NTHAL_FAULT;
    siglongjmp(nthal_top->back, 1);
}

/* Every callback of a driver takes whole numbers and pointers, six at most: registers, on each ABI that Linux has. */
static uint64_t nthal_enter(void *function, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE};
    struct nthal_entry entry, *outer = nthal_top;
    struct sigaction before[3], ours = {.sa_sigaction = nthal_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    volatile uint64_t result = 0;

    for (int n = 0; n < 3; n++)
        sigaction(numbers[n], &ours, &before[n]);
    nthal_top = &entry;
    if (sigsetjmp(entry.back, 1) == 0) {
        nthal_in_python = 0;
        result = ((uint64_t (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t))function)(a, b, c, d, e, f);
    }
    nthal_in_python = 1;
    nthal_top = outer;
    for (int n = 0; n < 3; n++)
        sigaction(numbers[n], &before[n], NULL);
    return result;
}

static void nthal_leave(void) { nthal_in_python = 1; }

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
