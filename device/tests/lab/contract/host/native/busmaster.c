// SPDX-License-Identifier: Apache-2.0
// A KMDF driver for a bus-master board with a 9054, 9056 or 9656: reads and writes by descriptors on channel 0, and a
// small block by a common buffer of its own. Register facts are those of docs/registers.md.
//
// WRONG_... make it wrong in one place each, for the tests.
#include <ntddk.h>
#include <wdf.h>

#define INTCSR 0x68
#define DMAMODE0 0x80
#define DMAPADR0 0x84
#define DMALADR0 0x88
#define DMASIZ0 0x8C
#define DMADPR0 0x90
#define DMACSR0 0xA8
#define DMADAC0 0xB4

#define INTCSR_ON (1u << 8 | 1u << 18)
#define INTCSR_CHANNEL_0 (1u << 21)
#define MODE_CHAINED (1u << 9)
#define MODE_DONE_INTERRUPT (1u << 10 | 1u << 17)
#define DPR_IN_PCI 1u
#define DPR_LAST 2u
#define DPR_TO_PCI 8u
#define CSR_ENABLE_START 3
#define CSR_ENABLE_CLEAR 9
#define CSR_DONE 0x10

#define MAXIMUM_LENGTH (16 * 1024)
#define ELEMENTS 5
#define BLOCK_BYTES 1000
#define IOCTL_WRITE_BLOCK CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _DESCRIPTOR {
    ULONG PciAddress;
    ULONG LocalAddress;
    ULONG Length;
    ULONG Next;
} DESCRIPTOR, *PDESCRIPTOR;

typedef struct _BOARD {
    PUCHAR Registers;
    SIZE_T RegistersLength;
    WDFINTERRUPT Interrupt;
    WDFDMAENABLER Enabler;
    WDFDMAENABLER DescriptorEnabler;
    WDFCOMMONBUFFER DescriptorBuffer;
    PDESCRIPTOR Descriptors;
    PHYSICAL_ADDRESS DescriptorsLa;
    WDFDMATRANSACTION Transaction;
    PDMA_ADAPTER Adapter;
    PUCHAR Block;
    PHYSICAL_ADDRESS BlockLa;
    WDFREQUEST Request;
    ULONG LocalAddress;
    ULONG Moving;
} BOARD, *PBOARD;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(BOARD, BoardOf)

DRIVER_INITIALIZE DriverEntry;
EVT_WDF_DRIVER_DEVICE_ADD EvtDeviceAdd;
EVT_WDF_DEVICE_PREPARE_HARDWARE EvtPrepareHardware;
EVT_WDF_DEVICE_RELEASE_HARDWARE EvtReleaseHardware;
EVT_WDF_DEVICE_D0_ENTRY EvtD0Entry;
EVT_WDF_DEVICE_D0_EXIT EvtD0Exit;
EVT_WDF_INTERRUPT_ISR EvtIsr;
EVT_WDF_INTERRUPT_DPC EvtDpc;
EVT_WDF_IO_QUEUE_IO_READ EvtIoRead;
EVT_WDF_IO_QUEUE_IO_WRITE EvtIoWrite;
EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL EvtIoDeviceControl;
EVT_WDF_PROGRAM_DMA EvtProgramDma;

static ULONG Get(PBOARD Board, ULONG Offset) { return READ_REGISTER_ULONG((PULONG)(Board->Registers + Offset)); }

static VOID Set(PBOARD Board, ULONG Offset, ULONG Value)
{
    WRITE_REGISTER_ULONG((PULONG)(Board->Registers + Offset), Value);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, EvtDeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}

static NTSTATUS CreateDma(WDFDEVICE Device, PBOARD Board)
{
    WDF_DMA_ENABLER_CONFIG config;
    NTSTATUS status;

    WdfDeviceSetAlignmentRequirement(Device, FILE_OCTA_ALIGNMENT);
    WDF_DMA_ENABLER_CONFIG_INIT(&config, WdfDmaProfileScatterGather, MAXIMUM_LENGTH);
    status = WdfDmaEnablerCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &Board->Enabler);
    if (!NT_SUCCESS(status))
        return status;
    WdfDmaEnablerSetMaximumScatterGatherElements(Board->Enabler, ELEMENTS);

    // An enabler of their own: where map registers translate, a common buffer holds one of those that transfers need.
    WDF_DMA_ENABLER_CONFIG_INIT(&config, WdfDmaProfileScatterGather, PAGE_SIZE);
    status = WdfDmaEnablerCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &Board->DescriptorEnabler);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfCommonBufferCreate(Board->DescriptorEnabler, ELEMENTS * sizeof(DESCRIPTOR), WDF_NO_OBJECT_ATTRIBUTES,
                                   &Board->DescriptorBuffer);
    if (!NT_SUCCESS(status))
        return status;
    Board->Descriptors = WdfCommonBufferGetAlignedVirtualAddress(Board->DescriptorBuffer);
    Board->DescriptorsLa = WdfCommonBufferGetAlignedLogicalAddress(Board->DescriptorBuffer);
    RtlZeroMemory(Board->Descriptors, WdfCommonBufferGetLength(Board->DescriptorBuffer));
    return WdfDmaTransactionCreate(Board->Enabler, WDF_NO_OBJECT_ATTRIBUTES, &Board->Transaction);
}

NTSTATUS EvtDeviceAdd(_In_ WDFDRIVER Driver, _Inout_ PWDFDEVICE_INIT DeviceInit)
{
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_INTERRUPT_CONFIG interrupt;
    WDF_IO_QUEUE_CONFIG queue;
    WDFDEVICE device;
    PBOARD board;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Driver);
    PAGED_CODE();

    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&callbacks);
    callbacks.EvtDevicePrepareHardware = EvtPrepareHardware;
    callbacks.EvtDeviceReleaseHardware = EvtReleaseHardware;
    callbacks.EvtDeviceD0Entry = EvtD0Entry;
    callbacks.EvtDeviceD0Exit = EvtD0Exit;
    WdfDeviceInitSetPnpPowerEventCallbacks(DeviceInit, &callbacks);
    WdfDeviceInitSetIoType(DeviceInit, WdfDeviceIoDirect);

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, BOARD);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    board = BoardOf(device);

    WDF_INTERRUPT_CONFIG_INIT(&interrupt, EvtIsr, EvtDpc);
    status = WdfInterruptCreate(device, &interrupt, WDF_NO_OBJECT_ATTRIBUTES, &board->Interrupt);
    if (!NT_SUCCESS(status))
        return status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&queue, WdfIoQueueDispatchSequential);
    queue.EvtIoRead = EvtIoRead;
    queue.EvtIoWrite = EvtIoWrite;
    queue.EvtIoDeviceControl = EvtIoDeviceControl;
    status = WdfIoQueueCreate(device, &queue, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status))
        return status;
    return CreateDma(device, board);
}

static NTSTATUS CreateBlock(WDFDEVICE Device, PBOARD Board)
{
    DEVICE_DESCRIPTION description;
    ULONG registers;

    RtlZeroMemory(&description, sizeof(description));
    description.Version = DEVICE_DESCRIPTION_VERSION2;
    description.Master = TRUE;
    description.ScatterGather = TRUE;
    description.Dma32BitAddresses = TRUE;
    description.InterfaceType = PCIBus;
    description.MaximumLength = MAXIMUM_LENGTH;
    Board->Adapter = IoGetDmaAdapter(WdfDeviceWdmGetPhysicalDevice(Device), &description, &registers);
    if (Board->Adapter == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Board->Block =
        Board->Adapter->DmaOperations->AllocateCommonBuffer(Board->Adapter, BLOCK_BYTES, &Board->BlockLa, FALSE);
#ifdef WRONG_NULL
    RtlZeroMemory(Board->Block, BLOCK_BYTES);
#endif
    if (Board->Block == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(Board->Block, BLOCK_BYTES);
    return STATUS_SUCCESS;
}

NTSTATUS EvtPrepareHardware(_In_ WDFDEVICE Device, _In_ WDFCMRESLIST Raw, _In_ WDFCMRESLIST Translated)
{
    PBOARD board = BoardOf(Device);
    ULONG index;

    UNREFERENCED_PARAMETER(Raw);
    for (index = 0; index < WdfCmResourceListGetCount(Translated); index++) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR resource = WdfCmResourceListGetDescriptor(Translated, index);

        if (resource->Type == CmResourceTypeMemory && board->Registers == NULL) {
            board->RegistersLength = resource->u.Memory.Length;
            board->Registers = MmMapIoSpace(resource->u.Memory.Start, board->RegistersLength, MmNonCached);
        }
    }
    if (board->Registers == NULL)
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    return CreateBlock(Device, board);
}

NTSTATUS EvtReleaseHardware(_In_ WDFDEVICE Device, _In_ WDFCMRESLIST Translated)
{
    PBOARD board = BoardOf(Device);

    UNREFERENCED_PARAMETER(Translated);
    if (board->Block != NULL) {
#ifdef WRONG_LENGTH
        board->Adapter->DmaOperations->FreeCommonBuffer(board->Adapter, ROUND_TO_PAGES(BLOCK_BYTES), board->BlockLa,
                                                        board->Block, FALSE);
#elif !defined(WRONG_LEAK)
        board->Adapter->DmaOperations->FreeCommonBuffer(board->Adapter, BLOCK_BYTES, board->BlockLa, board->Block,
                                                        FALSE);
#endif
#ifdef WRONG_AFTER_FREE
        board->Block[8] = 1;
#endif
        board->Block = NULL;
    }
    if (board->Adapter != NULL) {
#ifndef WRONG_LEAK
        board->Adapter->DmaOperations->PutDmaAdapter(board->Adapter);
#endif
        board->Adapter = NULL;
    }
    if (board->Registers != NULL) {
        MmUnmapIoSpace(board->Registers, board->RegistersLength);
        board->Registers = NULL;
    }
    return STATUS_SUCCESS;
}

NTSTATUS EvtD0Entry(_In_ WDFDEVICE Device, _In_ WDF_POWER_DEVICE_STATE Previous)
{
    PBOARD board = BoardOf(Device);

    UNREFERENCED_PARAMETER(Previous);
    Set(board, DMADAC0, 0);
    Set(board, INTCSR, Get(board, INTCSR) | INTCSR_ON);
    return STATUS_SUCCESS;
}

NTSTATUS EvtD0Exit(_In_ WDFDEVICE Device, _In_ WDF_POWER_DEVICE_STATE Target)
{
    PBOARD board = BoardOf(Device);

    UNREFERENCED_PARAMETER(Target);
    Set(board, INTCSR, Get(board, INTCSR) & ~INTCSR_ON);
    return STATUS_SUCCESS;
}

// --- the chip ------------------------------------------------------------------------------------------------------

static VOID Start(PBOARD Board, ULONG Mode, ULONG Pointer)
{
    Set(Board, DMAMODE0, (Get(Board, DMAMODE0) & ~MODE_CHAINED) | MODE_DONE_INTERRUPT | Mode);
    Set(Board, DMADPR0, Pointer);
    WRITE_REGISTER_UCHAR(Board->Registers + DMACSR0, CSR_ENABLE_START);
}

BOOLEAN EvtIsr(_In_ WDFINTERRUPT Interrupt, _In_ ULONG MessageID)
{
    PBOARD board = BoardOf(WdfInterruptGetDevice(Interrupt));

    UNREFERENCED_PARAMETER(MessageID);
    if ((Get(board, INTCSR) & INTCSR_CHANNEL_0) == 0)
        return FALSE;
    WRITE_REGISTER_UCHAR(board->Registers + DMACSR0, CSR_ENABLE_CLEAR);
    WdfInterruptQueueDpcForIsr(Interrupt);
    return TRUE;
}

VOID EvtDpc(_In_ WDFINTERRUPT Interrupt, _In_ WDFOBJECT Object)
{
    PBOARD board = BoardOf(WdfInterruptGetDevice(Interrupt));
    WDFREQUEST request = board->Request;
    NTSTATUS status = STATUS_SUCCESS;

    UNREFERENCED_PARAMETER(Object);
    if (request == NULL || (READ_REGISTER_UCHAR(board->Registers + DMACSR0) & CSR_DONE) == 0)
        return;
    if (board->LocalAddress == MAXULONG) {
        board->Request = NULL;
        WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, board->Moving);
        return;
    }
    board->LocalAddress += board->Moving;
    if (WdfDmaTransactionDmaCompleted(board->Transaction, &status)) {
        size_t moved = NT_SUCCESS(status) ? board->LocalAddress : 0;
        WDF_REQUEST_PARAMETERS parameters;

        WDF_REQUEST_PARAMETERS_INIT(&parameters);
        WdfRequestGetParameters(request, &parameters);
        if (moved != 0)
            moved -= (size_t)parameters.Parameters.Read.DeviceOffset;
        WdfDmaTransactionRelease(board->Transaction);
        board->Request = NULL;
        WdfRequestCompleteWithInformation(request, status, moved);
    }
}

// --- requests ------------------------------------------------------------------------------------------------------

BOOLEAN EvtProgramDma(_In_ WDFDMATRANSACTION Transaction, _In_ WDFDEVICE Device, _In_ WDFCONTEXT Context,
                      _In_ WDF_DMA_DIRECTION Direction, _In_ PSCATTER_GATHER_LIST SgList)
{
    PBOARD board = BoardOf(Device);
    ULONG toPci = Direction == WdfDmaDirectionReadFromDevice ? DPR_TO_PCI : 0;
    ULONG at = board->LocalAddress, index;

    UNREFERENCED_PARAMETER(Transaction);
    UNREFERENCED_PARAMETER(Context);
    for (index = 0; index < SgList->NumberOfElements; index++) {
        PDESCRIPTOR descriptor = &board->Descriptors[index];
        BOOLEAN last = index + 1 == SgList->NumberOfElements;

        descriptor->PciAddress = SgList->Elements[index].Address.LowPart;
        descriptor->LocalAddress = at;
        descriptor->Length = SgList->Elements[index].Length;
        descriptor->Next = (board->DescriptorsLa.LowPart + (index + 1) * sizeof(DESCRIPTOR)) | DPR_IN_PCI | toPci |
                           (last ? DPR_LAST : 0);
        at += descriptor->Length;
    }
    board->Moving = at - board->LocalAddress;
    KeMemoryBarrier();
    Start(board, MODE_CHAINED, board->DescriptorsLa.LowPart | DPR_IN_PCI | toPci);
    return TRUE;
}

static VOID Move(WDFQUEUE Queue, WDFREQUEST Request, WDF_DMA_DIRECTION Direction)
{
    PBOARD board = BoardOf(WdfIoQueueGetDevice(Queue));
    WDF_REQUEST_PARAMETERS parameters;
    PMDL mdl;
    NTSTATUS status;

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    status = Direction == WdfDmaDirectionReadFromDevice ? WdfRequestRetrieveOutputWdmMdl(Request, &mdl)
                                                        : WdfRequestRetrieveInputWdmMdl(Request, &mdl);
    if (NT_SUCCESS(status)) {
        KeFlushIoBuffers(mdl, Direction == WdfDmaDirectionReadFromDevice, TRUE);
        board->Request = Request;
        board->LocalAddress = (ULONG)parameters.Parameters.Read.DeviceOffset;
        status = WdfDmaTransactionInitializeUsingRequest(board->Transaction, Request, EvtProgramDma, Direction);
        if (NT_SUCCESS(status))
            status = WdfDmaTransactionExecute(board->Transaction, WDF_NO_CONTEXT);
        if (!NT_SUCCESS(status))
            WdfDmaTransactionRelease(board->Transaction);
    }
    if (!NT_SUCCESS(status)) {
        board->Request = NULL;
        WdfRequestComplete(Request, status);
    }
}

VOID EvtIoRead(_In_ WDFQUEUE Queue, _In_ WDFREQUEST Request, _In_ size_t Length)
{
    UNREFERENCED_PARAMETER(Length);
    Move(Queue, Request, WdfDmaDirectionReadFromDevice);
}

VOID EvtIoWrite(_In_ WDFQUEUE Queue, _In_ WDFREQUEST Request, _In_ size_t Length)
{
    UNREFERENCED_PARAMETER(Length);
    Move(Queue, Request, WdfDmaDirectionWriteToDevice);
}

// The block: copied into the common buffer, and from there to local address 0 in one piece.
VOID EvtIoDeviceControl(_In_ WDFQUEUE Queue, _In_ WDFREQUEST Request, _In_ size_t OutputBufferLength,
                        _In_ size_t InputBufferLength, _In_ ULONG IoControlCode)
{
    PBOARD board = BoardOf(WdfIoQueueGetDevice(Queue));
    PHYSICAL_ADDRESS address = board->BlockLa;
    PVOID input;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(OutputBufferLength);
    status = IoControlCode == IOCTL_WRITE_BLOCK ? WdfRequestRetrieveInputBuffer(Request, 1, &input, NULL)
                                                : STATUS_INVALID_DEVICE_REQUEST;
    if (NT_SUCCESS(status) && InputBufferLength > BLOCK_BYTES)
        status = STATUS_INVALID_BUFFER_SIZE;
    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
#ifdef WRONG_OVERRUN
    RtlCopyMemory(board->Block, input, BLOCK_BYTES + 1);
#else
    RtlCopyMemory(board->Block, input, InputBufferLength);
#endif
#ifdef WRONG_PHYSICAL
    address = MmGetPhysicalAddress(board->Block);
#endif
    board->Request = Request;
    board->LocalAddress = MAXULONG;
    board->Moving = (ULONG)InputBufferLength;
    Set(board, DMAPADR0, address.LowPart);
    Set(board, DMALADR0, 0);
    Set(board, DMASIZ0, (ULONG)InputBufferLength);
    Start(board, 0, 0);
}
