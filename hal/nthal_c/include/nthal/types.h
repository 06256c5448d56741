/* SPDX-License-Identifier: Apache-2.0 */
/* The types of the kernel that DMA drivers use, with the sizes that Windows gives them on 64-bit processors.
 *
 * Written for nthal after the driver documentation; no layout is meant to be that of a binary. Python reads this file
 * too (cffi), without the preprocessor's lines: plain declarations only.
 */
#ifndef NTHAL_TYPES_H
#define NTHAL_TYPES_H
#include <stddef.h>
#include <stdint.h>

typedef void *PVOID, *HANDLE;
typedef const void *PCVOID;
typedef char CHAR, CCHAR, *PCHAR, *PSTR;
typedef const char *PCSTR, *PCCH;
typedef uint8_t UCHAR, *PUCHAR, BOOLEAN, *PBOOLEAN, UINT8, BYTE, KIRQL, *PKIRQL;
typedef int8_t INT8;
typedef int16_t SHORT, *PSHORT, INT16, CSHORT;
typedef uint16_t USHORT, *PUSHORT, UINT16, WORD, WCHAR, *PWCHAR, *PWSTR;
typedef const uint16_t *PCWSTR;
typedef int32_t LONG, *PLONG, INT, *PINT, INT32, BOOL, *PBOOL, NTSTATUS, *PNTSTATUS;
typedef uint32_t ULONG, *PULONG, UINT, *PUINT, UINT32, DWORD, *PDWORD, ACCESS_MASK, DEVICE_TYPE, NODE_REQUIREMENT;
typedef int64_t LONGLONG, *PLONGLONG, LONG64, *PLONG64, INT64;
typedef uint64_t ULONGLONG, *PULONGLONG, ULONG64, *PULONG64, UINT64, DWORD64;
typedef intptr_t LONG_PTR, INT_PTR;
typedef uintptr_t ULONG_PTR, *PULONG_PTR, UINT_PTR, KAFFINITY, PFN_NUMBER, *PPFN_NUMBER, KSPIN_LOCK, *PKSPIN_LOCK;
typedef size_t SIZE_T, *PSIZE_T;

typedef union _LARGE_INTEGER {
    struct { ULONG LowPart; LONG HighPart; };
    struct { ULONG LowPart; LONG HighPart; } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER, PHYSICAL_ADDRESS, *PPHYSICAL_ADDRESS;

typedef struct _UNICODE_STRING { USHORT Length; USHORT MaximumLength; PWSTR Buffer; } UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;
typedef struct _STRING { USHORT Length; USHORT MaximumLength; PCHAR Buffer; } STRING, *PSTRING, ANSI_STRING, *PANSI_STRING;
typedef const STRING *PCANSI_STRING;
typedef struct _LIST_ENTRY { struct _LIST_ENTRY *Flink; struct _LIST_ENTRY *Blink; } LIST_ENTRY, *PLIST_ENTRY;
typedef struct _GUID { ULONG Data1; USHORT Data2; USHORT Data3; UCHAR Data4[8]; } GUID;
typedef GUID *LPGUID;
typedef const GUID *LPCGUID;

typedef enum _INTERFACE_TYPE {
    InterfaceTypeUndefined = -1, Internal, Isa, Eisa, MicroChannel, TurboChannel, PCIBus, VMEBus, NuBus, PCMCIABus, CBus,
    MPIBus, MPSABus, ProcessorInternal, InternalPowerBus, PNPISABus, PNPBus, Vmcs, ACPIBus, MaximumInterfaceType
} INTERFACE_TYPE;
typedef enum _DMA_WIDTH { Width8Bits, Width16Bits, Width32Bits, Width64Bits, WidthNoWrap, MaximumDmaWidth } DMA_WIDTH;
typedef enum _DMA_SPEED { Compatible, TypeA, TypeB, TypeC, TypeF, MaximumDmaSpeed } DMA_SPEED;
typedef enum _MEMORY_CACHING_TYPE { MmNonCached, MmCached, MmWriteCombined } MEMORY_CACHING_TYPE;
typedef enum _IO_ALLOCATION_ACTION { KeepObject = 1, DeallocateObject, DeallocateObjectKeepRegisters } IO_ALLOCATION_ACTION;
typedef enum _MM_PAGE_PRIORITY { LowPagePriority, NormalPagePriority = 16, HighPagePriority = 32 } MM_PAGE_PRIORITY;
typedef enum _POOL_TYPE {
    NonPagedPool, PagedPool, NonPagedPoolExecute = 0, NonPagedPoolCacheAligned = 4, PagedPoolCacheAligned,
    NonPagedPoolNx = 512, NonPagedPoolNxCacheAligned = 516
} POOL_TYPE;
typedef enum _LOCK_OPERATION { IoReadAccess, IoWriteAccess, IoModifyAccess } LOCK_OPERATION;
typedef enum _KPROCESSOR_MODE { KernelMode, UserMode } KPROCESSOR_MODE;

typedef struct _DEVICE_OBJECT {
    CSHORT Type; USHORT Size;
    struct _DRIVER_OBJECT *DriverObject;
    struct _IRP *CurrentIrp;
    ULONG Flags; ULONG Characteristics;
    PVOID DeviceExtension;
    ULONG AlignmentRequirement;
} DEVICE_OBJECT, *PDEVICE_OBJECT;
typedef struct _DRIVER_OBJECT { CSHORT Type; CSHORT Size; PDEVICE_OBJECT DeviceObject; UNICODE_STRING DriverName; } DRIVER_OBJECT, *PDRIVER_OBJECT;
typedef struct _IRP *PIRP;
typedef NTSTATUS DRIVER_INITIALIZE(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath);

typedef struct _MDL {
    struct _MDL *Next;
    CSHORT Size; CSHORT MdlFlags;
    PVOID MappedSystemVa; PVOID StartVa;
    ULONG ByteCount; ULONG ByteOffset;
} MDL, *PMDL;

typedef struct _SCATTER_GATHER_ELEMENT { PHYSICAL_ADDRESS Address; ULONG Length; ULONG_PTR Reserved; } SCATTER_GATHER_ELEMENT, *PSCATTER_GATHER_ELEMENT;
typedef struct _SCATTER_GATHER_LIST { ULONG NumberOfElements; ULONG_PTR Reserved; SCATTER_GATHER_ELEMENT Elements[]; } SCATTER_GATHER_LIST, *PSCATTER_GATHER_LIST;

typedef struct _DEVICE_DESCRIPTION {
    ULONG Version;
    BOOLEAN Master; BOOLEAN ScatterGather; BOOLEAN DemandMode; BOOLEAN AutoInitialize;
    BOOLEAN Dma32BitAddresses; BOOLEAN IgnoreCount; BOOLEAN Reserved1; BOOLEAN Dma64BitAddresses;
    ULONG BusNumber; ULONG DmaChannel;
    INTERFACE_TYPE InterfaceType; DMA_WIDTH DmaWidth; DMA_SPEED DmaSpeed;
    ULONG MaximumLength; ULONG DmaPort;
    ULONG DmaAddressWidth; ULONG DmaControllerInstance; ULONG DmaRequestLine;
    PHYSICAL_ADDRESS DeviceAddress;
} DEVICE_DESCRIPTION, *PDEVICE_DESCRIPTION;

typedef struct _CM_PARTIAL_RESOURCE_DESCRIPTOR {
    UCHAR Type; UCHAR ShareDisposition; USHORT Flags;
    union {
        struct { PHYSICAL_ADDRESS Start; ULONG Length; } Generic;
        struct { PHYSICAL_ADDRESS Start; ULONG Length; } Port;
        struct { ULONG Level; ULONG Vector; KAFFINITY Affinity; } Interrupt;
        struct { PHYSICAL_ADDRESS Start; ULONG Length; } Memory;
    } u;
} CM_PARTIAL_RESOURCE_DESCRIPTOR, *PCM_PARTIAL_RESOURCE_DESCRIPTOR;

typedef struct _ADAPTER_OBJECT *PADAPTER_OBJECT;
typedef IO_ALLOCATION_ACTION DRIVER_CONTROL(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase, PVOID Context);
typedef DRIVER_CONTROL *PDRIVER_CONTROL;
typedef void DRIVER_LIST_CONTROL(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST ScatterGather, PVOID Context);
typedef DRIVER_LIST_CONTROL *PDRIVER_LIST_CONTROL;

typedef struct _DMA_COMMON_BUFFER_VECTOR *PDMA_COMMON_BUFFER_VECTOR;
typedef struct _DMA_ADAPTER_INFO_V1 {
    ULONG ReadDmaCounterAvailable; ULONG ScatterGatherLimit; ULONG DmaAddressWidth; ULONG Flags; ULONG MinimumTransferUnit;
} DMA_ADAPTER_INFO_V1, *PDMA_ADAPTER_INFO_V1;
typedef struct _DMA_ADAPTER_INFO { ULONG Version; union { DMA_ADAPTER_INFO_V1 V1; }; } DMA_ADAPTER_INFO, *PDMA_ADAPTER_INFO;
typedef struct _DMA_TRANSFER_INFO_V1 {
    ULONG MapRegisterCount; ULONG ScatterGatherElementCount; ULONG ScatterGatherListSize;
} DMA_TRANSFER_INFO_V1, *PDMA_TRANSFER_INFO_V1;
typedef struct _DMA_TRANSFER_INFO { ULONG Version; union { DMA_TRANSFER_INFO_V1 V1; }; } DMA_TRANSFER_INFO, *PDMA_TRANSFER_INFO;
typedef enum _DMA_COMPLETION_STATUS { DmaComplete, DmaAborted, DmaError, DmaCancelled } DMA_COMPLETION_STATUS;
typedef struct _DMA_ADAPTER { USHORT Version; USHORT Size; struct _DMA_OPERATIONS *DmaOperations[1]; } DMA_ADAPTER, *PDMA_ADAPTER;
typedef void DMA_COMPLETION_ROUTINE(PDMA_ADAPTER DmaAdapter, PDEVICE_OBJECT DeviceObject, PVOID CompletionContext, DMA_COMPLETION_STATUS Status);
typedef DMA_COMPLETION_ROUTINE *PDMA_COMPLETION_ROUTINE;
/* The members are made of the prototypes in routines.h, in their order; see prototypes.py. */
typedef struct _DMA_OPERATIONS DMA_OPERATIONS, *PDMA_OPERATIONS;
#endif
