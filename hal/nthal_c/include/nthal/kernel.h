/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's headers define beside types and routines: constants, macros, small inline functions. */
#ifndef NTHAL_KERNEL_H
#define NTHAL_KERNEL_H
#include <string.h>
#include "types.h"
#include "words.h"
#include "status.h"
#include "interlocked.h"

#define DECLSPEC_ALIGN(n) __attribute__((aligned(n)))
#define UNREFERENCED_PARAMETER(P) ((void)(P))
#define UNREFERENCED_LOCAL_VARIABLE(V) ((void)(V))
#define DBG_UNREFERENCED_PARAMETER(P) ((void)(P))
#define NTHAL_AT_MOST(L, WHAT) (NTHAL_HERE, nthal_at_most((L), (WHAT)))
#define PAGED_CODE() NTHAL_AT_MOST(APC_LEVEL, "PAGED_CODE()")
#define PAGED_CODE_LOCKED() ((void)0)
#define ASSERT(E) ((E) ? (void)0 : (NTHAL_HERE, nthal_assert(#E)))
#define NT_ASSERT(E) ASSERT(E)
#define ASSERTMSG(M, E) ASSERT(E)
#define NT_ASSERTMSG(M, E) ASSERT(E)
#define NT_VERIFY(E) ((E) ? 1 : (NTHAL_HERE, nthal_assert(#E), 0))
#define NT_VERIFYMSG(M, E) NT_VERIFY(E)
#define RTL_VERIFY(E) NT_VERIFY(E)
#define C_ASSERT(E) _Static_assert(E, #E)

#ifndef TRUE
#define TRUE 1
#define FALSE 0
#endif
#define MAXUCHAR 0xff
#define MAXUSHORT 0xffff
#define MAXLONG 0x7fffffff
#define MAXULONG 0xffffffffu
#define MAXULONGLONG 0xffffffffffffffffull
#define PAGE_SIZE 0x1000
#define PAGE_SHIFT 12
#define BYTE_OFFSET(A) ((ULONG)((ULONG_PTR)(A) & (PAGE_SIZE - 1)))
#define PAGE_ALIGN(A) ((PVOID)((ULONG_PTR)(A) & ~(ULONG_PTR)(PAGE_SIZE - 1)))
#define ROUND_TO_PAGES(S) (((ULONG_PTR)(S) + PAGE_SIZE - 1) & ~(ULONG_PTR)(PAGE_SIZE - 1))
#define BYTES_TO_PAGES(S) (((S) >> PAGE_SHIFT) + (((S) & (PAGE_SIZE - 1)) != 0))
#define ADDRESS_AND_SIZE_TO_SPAN_PAGES(A, S) ((ULONG)((BYTE_OFFSET(A) + (SIZE_T)(S) + PAGE_SIZE - 1) >> PAGE_SHIFT))
#define COMPUTE_PAGES_SPANNED(A, S) ADDRESS_AND_SIZE_TO_SPAN_PAGES(A, S)
#define FIELD_OFFSET(T, F) ((LONG)offsetof(T, F))
#define CONTAINING_RECORD(A, T, F) ((T *)((PCHAR)(A) - offsetof(T, F)))
#define RTL_FIELD_SIZE(T, F) (sizeof(((T *)0)->F))
#define ALIGN_DOWN_BY(V, A) ((ULONG_PTR)(V) & ~((ULONG_PTR)(A) - 1))
#define ALIGN_UP_BY(V, A) ALIGN_DOWN_BY((ULONG_PTR)(V) + (A) - 1, A)
#define ROUND_TO_SIZE(L, A) ALIGN_UP_BY(L, A)
#define FlagOn(F, M) ((F) & (M))
#define BooleanFlagOn(F, M) ((BOOLEAN)(((F) & (M)) != 0))
#define SetFlag(F, M) ((F) |= (M))
#define ClearFlag(F, M) ((F) &= ~(M))
#define RTL_NUMBER_OF(A) (sizeof(A) / sizeof((A)[0]))
#define ARRAYSIZE(A) RTL_NUMBER_OF(A)
#define PtrToUlong(P) ((ULONG)(ULONG_PTR)(P))
#define LOWORD(L) ((USHORT)(ULONG)(L))
#define HIWORD(L) ((USHORT)((ULONG)(L) >> 16))
#define min(A, B) ((A) < (B) ? (A) : (B))
#define max(A, B) ((A) > (B) ? (A) : (B))

/* --- levels, flags, kinds --- */
#define PASSIVE_LEVEL 0
#define APC_LEVEL 1
#define DISPATCH_LEVEL 2
#define DEVICE_DESCRIPTION_VERSION 0
#define DEVICE_DESCRIPTION_VERSION1 1
#define DEVICE_DESCRIPTION_VERSION2 2
#define DEVICE_DESCRIPTION_VERSION3 3
#define DMA_ADAPTER_INFO_VERSION1 1
#define DMA_TRANSFER_INFO_VERSION1 1
#define DMA_TRANSFER_CONTEXT_VERSION1 1
#define DMA_TRANSFER_CONTEXT_SIZE_V1 128
#define DMA_SYNCHRONOUS_CALLBACK 0x01
#define DOMAIN_COMMON_BUFFER_LARGE_PAGE 0x01
#define CmResourceTypePort 1
#define CmResourceTypeInterrupt 2
#define CmResourceTypeMemory 3
#define CM_RESOURCE_INTERRUPT_LATCHED 1
#define FILE_BYTE_ALIGNMENT 0x00
#define FILE_WORD_ALIGNMENT 0x01
#define FILE_LONG_ALIGNMENT 0x03
#define FILE_QUAD_ALIGNMENT 0x07
#define FILE_OCTA_ALIGNMENT 0x0f
#define FILE_32_BYTE_ALIGNMENT 0x1f
#define FILE_64_BYTE_ALIGNMENT 0x3f
#define FILE_128_BYTE_ALIGNMENT 0x7f
#define FILE_256_BYTE_ALIGNMENT 0xff
#define FILE_512_BYTE_ALIGNMENT 0x1ff
#define POOL_FLAG_NON_PAGED 0x40
#define POOL_FLAG_PAGED 0x100
#define POOL_FLAG_UNINITIALIZED 0x02
#define PAGE_READWRITE 0x04
#define PAGE_NOCACHE 0x200
#define MdlMappingNoExecute 0x40000000
#define FILE_DEVICE_UNKNOWN 0x22
#define METHOD_BUFFERED 0
#define METHOD_IN_DIRECT 1
#define METHOD_OUT_DIRECT 2
#define FILE_ANY_ACCESS 0
#define FILE_READ_DATA 1
#define FILE_WRITE_DATA 2
#define CTL_CODE(D, F, M, A) ((ULONG)(((D) << 16) | ((A) << 14) | ((F) << 2) | (M)))

/* --- memory and words --- */
#define RtlZeroMemory(D, L) memset((D), 0, (L))
#define RtlFillMemory(D, L, V) memset((D), (V), (L))
#define RtlCopyMemory(D, S, L) memcpy((D), (S), (L))
#define RtlMoveMemory(D, S, L) memmove((D), (S), (L))
#define RtlZeroBytes(D, L) memset((D), 0, (L))
#define RtlCopyBytes(D, S, L) memcpy((D), (S), (L))
#define RtlCopyMemoryNonTemporal(D, S, L) memcpy((D), (S), (L))
#define RtlEqualMemory(A, B, L) (memcmp((A), (B), (L)) == 0)
FORCEINLINE PVOID RtlSecureZeroMemory(PVOID Memory, SIZE_T Length)
{
    for (volatile UCHAR *at = (volatile UCHAR *)Memory; Length > 0; Length--)
        *at++ = 0;
    return Memory;
}
FORCEINLINE SIZE_T RtlCompareMemory(const void *One, const void *Other, SIZE_T Length)
{
    SIZE_T same = 0;

    while (same < Length && ((const UCHAR *)One)[same] == ((const UCHAR *)Other)[same])
        same++;
    return same;
}
/* Who waits for a device without reading a register lets it work so. */
#define YieldProcessor() KeStallExecutionProcessor(1)
#define KeMemoryBarrier() __sync_synchronize()
#define MemoryBarrier() __sync_synchronize()
#define KeInitializeSpinLock(L) (*(L) = 0)

ULONG DbgPrint(PCSTR Format, ...);
void nthal_assert(PCSTR Text);
void nthal_at_most(KIRQL Highest, PCSTR What);
#define DbgPrint(...) (NTHAL_HERE, DbgPrint(__VA_ARGS__))
#define DbgPrintEx(C, L, ...) DbgPrint(__VA_ARGS__)
#define KdPrint(A) DbgPrint A
#define KdPrintEx(A) DbgPrintEx A

/* --- routines made of others --- */
#define NTHAL_HERE nthal_place(__FILE__, __LINE__, __func__)
ULONG nthal_read(volatile void *Register, ULONG Width);
void nthal_write(volatile void *Register, ULONG Width, ULONG Value);
#define READ_REGISTER_UCHAR(R) ((UCHAR)(NTHAL_HERE, nthal_read((R), 1)))
#define READ_REGISTER_USHORT(R) ((USHORT)(NTHAL_HERE, nthal_read((R), 2)))
#define READ_REGISTER_ULONG(R) (NTHAL_HERE, nthal_read((R), 4))
#define WRITE_REGISTER_UCHAR(R, V) (NTHAL_HERE, nthal_write((R), 1, (UCHAR)(V)))
#define WRITE_REGISTER_USHORT(R, V) (NTHAL_HERE, nthal_write((R), 2, (USHORT)(V)))
#define WRITE_REGISTER_ULONG(R, V) (NTHAL_HERE, nthal_write((R), 4, (ULONG)(V)))
#define NTHAL_BUFFERS(NAME, T) \
    static inline void nthal_read_##NAME(volatile T *Register, T *Buffer, ULONG Count) \
    { \
        while (Count-- > 0) \
            *Buffer++ = (T)nthal_read(Register++, sizeof(T)); \
    } \
    static inline void nthal_write_##NAME(volatile T *Register, const T *Buffer, ULONG Count) \
    { \
        while (Count-- > 0) \
            nthal_write(Register++, sizeof(T), *Buffer++); \
    }
NTHAL_BUFFERS(uchar, UCHAR)
NTHAL_BUFFERS(ushort, USHORT)
NTHAL_BUFFERS(ulong, ULONG)
#define READ_REGISTER_BUFFER_UCHAR(R, B, C) (NTHAL_HERE, nthal_read_uchar((R), (B), (C)))
#define READ_REGISTER_BUFFER_USHORT(R, B, C) (NTHAL_HERE, nthal_read_ushort((R), (B), (C)))
#define READ_REGISTER_BUFFER_ULONG(R, B, C) (NTHAL_HERE, nthal_read_ulong((R), (B), (C)))
#define WRITE_REGISTER_BUFFER_UCHAR(R, B, C) (NTHAL_HERE, nthal_write_uchar((R), (B), (C)))
#define WRITE_REGISTER_BUFFER_USHORT(R, B, C) (NTHAL_HERE, nthal_write_ushort((R), (B), (C)))
#define WRITE_REGISTER_BUFFER_ULONG(R, B, C) (NTHAL_HERE, nthal_write_ulong((R), (B), (C)))
#define MmMapIoSpaceEx(A, N, P) MmMapIoSpace((A), (N), MmNonCached)
#define ExFreePool(P) ExFreePoolWithTag((P), 0)
#define ExAllocatePool(K, N) ExAllocatePoolWithTag((K), (N), 0x656E6F4E)
#define ExAllocatePoolUninitialized(K, N, T) ExAllocatePoolWithTag((K), (N), (T))
#define ExAllocatePoolZero(K, N, T) nthal_zeroed(ExAllocatePoolWithTag((K), (N), (T)), 0, (N))
#define ExAllocatePool2(F, N, T) nthal_zeroed(ExAllocatePoolWithTag((F) & POOL_FLAG_PAGED ? PagedPool : NonPagedPoolNx, (N), (T)), (F), (N))
static inline PVOID nthal_zeroed(PVOID Memory, ULONG64 Flags, SIZE_T Length)
{
    return Memory == NULL || Flags & POOL_FLAG_UNINITIALIZED ? Memory : memset(Memory, 0, Length);
}
#define KeRaiseIrqlToDpcLevel() KfRaiseIrql(DISPATCH_LEVEL)
#define KeRaiseIrql(N, O) (*(O) = KfRaiseIrql(N))
#define KeAcquireSpinLock(L, O) (*(O) = KeAcquireSpinLockRaiseToDpc(L))
#define MmGetMdlVirtualAddress(M) ((PVOID)((PCHAR)(M)->StartVa + (M)->ByteOffset))
#define MmGetMdlByteCount(M) ((M)->ByteCount)
#define MmGetMdlByteOffset(M) ((M)->ByteOffset)
#define MmGetSystemAddressForMdlSafe(M, P) ((M)->MappedSystemVa)

#define DECLARE_CONST_UNICODE_STRING(N, S) const UNICODE_STRING N = {sizeof(S) - sizeof(WCHAR), sizeof(S), (PWSTR)(S)}
#define RTL_CONSTANT_STRING(S) {sizeof(S) - sizeof(WCHAR), sizeof(S), (PWSTR)(S)}
#ifdef INITGUID
#define DEFINE_GUID(N, A, B, C, ...) const GUID N = {A, B, C, {__VA_ARGS__}}
#else
#define DEFINE_GUID(N, A, B, C, ...) extern const GUID N
#endif

FORCEINLINE void RtlInitUnicodeString(PUNICODE_STRING String, PCWSTR Text)
{
    USHORT length = 0;

    while (Text != NULL && Text[length] != 0)
        length++;
    String->Length = (USHORT)(length * sizeof(WCHAR));
    String->MaximumLength = (USHORT)(Text == NULL ? 0 : String->Length + sizeof(WCHAR));
    String->Buffer = (PWSTR)Text;
}
/* No routine is found by its name at run time: a driver that looks for a newer one falls back to the older. */
FORCEINLINE PVOID MmGetSystemRoutineAddress(PUNICODE_STRING Name) { return (void)Name, NULL; }
#define KeDelayExecutionThread(M, A, I) (NTHAL_AT_MOST(APC_LEVEL, "KeDelayExecutionThread"), KeStallExecutionProcessor((ULONG)(-(I)->QuadPart / 10)), STATUS_SUCCESS)

FORCEINLINE void InitializeListHead(PLIST_ENTRY Head) { Head->Flink = Head->Blink = Head; }
FORCEINLINE BOOLEAN IsListEmpty(const LIST_ENTRY *Head) { return Head->Flink == Head; }
FORCEINLINE BOOLEAN RemoveEntryList(PLIST_ENTRY Entry)
{
    Entry->Blink->Flink = Entry->Flink;
    Entry->Flink->Blink = Entry->Blink;
    return Entry->Flink == Entry->Blink;
}
FORCEINLINE PLIST_ENTRY RemoveHeadList(PLIST_ENTRY Head)
{
    PLIST_ENTRY first = Head->Flink;
    RemoveEntryList(first);
    return first;
}
FORCEINLINE PLIST_ENTRY RemoveTailList(PLIST_ENTRY Head)
{
    PLIST_ENTRY last = Head->Blink;
    RemoveEntryList(last);
    return last;
}
FORCEINLINE void InsertHeadList(PLIST_ENTRY Head, PLIST_ENTRY Entry)
{
    Entry->Flink = Head->Flink;
    Entry->Blink = Head;
    Head->Flink->Blink = Entry;
    Head->Flink = Entry;
}
FORCEINLINE void InsertTailList(PLIST_ENTRY Head, PLIST_ENTRY Entry)
{
    Entry->Flink = Head;
    Entry->Blink = Head->Blink;
    Head->Blink->Flink = Entry;
    Head->Blink = Entry;
}

/* --- where a call stands --- */
extern const char *nthal_file, *nthal_function;
extern int nthal_line;
FORCEINLINE int nthal_place(const char *file, int line, const char *function)
{
    nthal_file = file;
    nthal_line = line;
    nthal_function = function;
    return 0;
}
#define DmaOperations DmaOperations[NTHAL_HERE]
#endif
