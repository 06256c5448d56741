/* SPDX-License-Identifier: Apache-2.0 */
/* The Interlocked family: a count or an exchange that nothing comes between.
 *
 * Increment, Decrement and Add give the new value; all others the one before.
 */
#ifndef NTHAL_INTERLOCKED_H
#define NTHAL_INTERLOCKED_H
#include "types.h"

#define NTHAL_ATOMIC(NAME, T, BUILTIN) \
    static inline T NAME(volatile T *Target, T Value) { return BUILTIN(Target, Value, __ATOMIC_SEQ_CST); }
#define NTHAL_INTERLOCKED(SUFFIX, T) \
    static inline T InterlockedIncrement##SUFFIX(volatile T *Addend) { return __atomic_add_fetch(Addend, 1, __ATOMIC_SEQ_CST); } \
    static inline T InterlockedDecrement##SUFFIX(volatile T *Addend) { return __atomic_sub_fetch(Addend, 1, __ATOMIC_SEQ_CST); } \
    NTHAL_ATOMIC(InterlockedAdd##SUFFIX, T, __atomic_add_fetch) \
    NTHAL_ATOMIC(InterlockedExchangeAdd##SUFFIX, T, __atomic_fetch_add) \
    NTHAL_ATOMIC(InterlockedExchange##SUFFIX, T, __atomic_exchange_n) \
    NTHAL_ATOMIC(InterlockedOr##SUFFIX, T, __atomic_fetch_or) \
    NTHAL_ATOMIC(InterlockedAnd##SUFFIX, T, __atomic_fetch_and) \
    NTHAL_ATOMIC(InterlockedXor##SUFFIX, T, __atomic_fetch_xor) \
    static inline T InterlockedCompareExchange##SUFFIX(volatile T *Destination, T Exchange, T Comparand) \
    { \
        __atomic_compare_exchange_n(Destination, &Comparand, Exchange, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        return Comparand; \
    }
NTHAL_INTERLOCKED(, LONG)
NTHAL_INTERLOCKED(64, LONGLONG)
static inline PVOID InterlockedExchangePointer(PVOID volatile *Target, PVOID Value)
{
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}
static inline PVOID InterlockedCompareExchangePointer(PVOID volatile *Destination, PVOID Exchange, PVOID Comparand)
{
    __atomic_compare_exchange_n(Destination, &Comparand, Exchange, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Comparand;
}
static inline BOOLEAN InterlockedBitTestAndSet(volatile LONG *Base, LONG Bit)
{
    return (BOOLEAN)(__atomic_fetch_or(Base + (Bit >> 5), (LONG)(1u << (Bit & 31)), __ATOMIC_SEQ_CST) >> (Bit & 31) & 1);
}
static inline BOOLEAN InterlockedBitTestAndReset(volatile LONG *Base, LONG Bit)
{
    return (BOOLEAN)(__atomic_fetch_and(Base + (Bit >> 5), (LONG)~(1u << (Bit & 31)), __ATOMIC_SEQ_CST) >> (Bit & 31) & 1);
}
#endif
