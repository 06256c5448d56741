// SPDX-License-Identifier: Apache-2.0
// A driver that does one thing for each control code, right or wrong, so that a test can look at what comes of it.
#include <initguid.h>
#include <wdm.h>
#include <wdf.h>

DEFINE_GUID(GUID_PROBE, 0x11223344, 0x5566, 0x7788, 1, 2, 3, 4, 5, 6, 7, 8);

typedef struct _PROBE {
    PUCHAR Registers;
    WDFINTERRUPT Interrupt;
    WDFSPINLOCK Lock;
    WDFDMAENABLER Enabler;
    WDFREQUEST Pending;
    ULONG Interrupts;
    LIST_ENTRY List;
} PROBE, *PPROBE;
WDF_DECLARE_CONTEXT_TYPE(PROBE)

typedef struct _OTHER { ULONG Word; } OTHER;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(OTHER, OtherOf)

static PPROBE Of(WDFOBJECT Object) { return WdfObjectGet_PROBE(Object); }

DRIVER_INITIALIZE DriverEntry;

static VOID EvtCleanup(WDFOBJECT Object)
{
    DbgPrint("cleanup, %u interrupts", Of(Object)->Interrupts);
}

static VOID EvtUnload(WDFDRIVER Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    KdPrint(("unload at %d", KeGetCurrentIrql()));
}

static BOOLEAN EvtIsr(WDFINTERRUPT Interrupt, ULONG MessageID)
{
    PPROBE probe = Of(WdfInterruptGetDevice(Interrupt));

    UNREFERENCED_PARAMETER(MessageID);
    WRITE_REGISTER_ULONG((PULONG)(probe->Registers + 0x10), 0);
    probe->Interrupts++;
    return WdfInterruptQueueDpcForIsr(Interrupt);
}

static VOID EvtDpc(WDFINTERRUPT Interrupt, WDFOBJECT Object)
{
    PPROBE probe = Of(Object);

    UNREFERENCED_PARAMETER(Interrupt);
    if (probe->Pending != NULL)
        WdfRequestCompleteWithInformation(probe->Pending, STATUS_SUCCESS, KeGetCurrentIrql());
    probe->Pending = NULL;
}

static NTSTATUS EvtEnable(WDFINTERRUPT Interrupt, WDFDEVICE Device)
{
    UNREFERENCED_PARAMETER(Interrupt);
    UNREFERENCED_PARAMETER(Device);
    DbgPrint("enable at %d", KeGetCurrentIrql());
    return STATUS_SUCCESS;
}

static BOOLEAN EvtSynchronize(WDFINTERRUPT Interrupt, WDFCONTEXT Context)
{
    UNREFERENCED_PARAMETER(Interrupt);
    *(PULONG)Context = KeGetCurrentIrql();
    return TRUE;
}

static BOOLEAN EvtTakesLock(WDFINTERRUPT Interrupt, WDFCONTEXT Context)
{
    UNREFERENCED_PARAMETER(Interrupt);
    WdfSpinLockAcquire(((PPROBE)Context)->Lock);
    return TRUE;
}

static BOOLEAN EvtTakesItsOwnLock(WDFINTERRUPT Interrupt, WDFCONTEXT Context)
{
    UNREFERENCED_PARAMETER(Context);
    WdfInterruptAcquireLock(Interrupt);
    return TRUE;
}

static NTSTATUS EvtPrepare(WDFDEVICE Device, WDFCMRESLIST Raw, WDFCMRESLIST Translated)
{
    PCM_PARTIAL_RESOURCE_DESCRIPTOR memory = WdfCmResourceListGetDescriptor(Translated, 0);

    UNREFERENCED_PARAMETER(Raw);
    ASSERT(WdfCmResourceListGetCount(Translated) == 2 && WdfCmResourceListGetDescriptor(Translated, 2) == NULL);
    Of(Device)->Registers = MmMapIoSpaceEx(memory->u.Memory.Start, memory->u.Memory.Length, PAGE_READWRITE);
    return Of(Device)->Registers == NULL ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
}

static NTSTATUS EvtRelease(WDFDEVICE Device, WDFCMRESLIST Translated)
{
    DbgPrint("release at %d", KeGetCurrentIrql());
    MmUnmapIoSpace(Of(Device)->Registers, WdfCmResourceListGetDescriptor(Translated, 0)->u.Memory.Length);
    return STATUS_SUCCESS;
}

#ifdef POST_FAILS
static NTSTATUS EvtPost(WDFDEVICE Device, WDF_POWER_DEVICE_STATE Previous)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Previous);
    return STATUS_UNSUCCESSFUL;
}
#endif

static NTSTATUS EvtDisable(WDFINTERRUPT Interrupt, WDFDEVICE Device)
{
    UNREFERENCED_PARAMETER(Interrupt);
    UNREFERENCED_PARAMETER(Device);
    DbgPrint("disable at %d", KeGetCurrentIrql());
    return STATUS_SUCCESS;
}

static DEVICE_DESCRIPTION Describe(ULONG Version)
{
    DEVICE_DESCRIPTION description;

    RtlZeroMemory(&description, sizeof(description));
    description.Version = Version;
    description.Master = description.Dma32BitAddresses = TRUE;
    description.ScatterGather = Version > 0;
    description.InterfaceType = PCIBus;
    description.MaximumLength = 0x10000;
    description.DmaAddressWidth = 32;
    return description;
}

static PDMA_ADAPTER Adapter(WDFDEVICE Device, ULONG Version)
{
    DEVICE_DESCRIPTION description = Describe(Version);
    ULONG registers = 0;
    PDMA_ADAPTER adapter = IoGetDmaAdapter(WdfDeviceWdmGetPhysicalDevice(Device), &description, &registers);

    ASSERT(adapter != NULL && registers == 17);
    return adapter;
}

typedef struct _MOVE {
    PDMA_ADAPTER Adapter;
    PMDL Mdl;
    PVOID Base;
    ULONG Length;
    ULONG Elements;
    PHYSICAL_ADDRESS Address;
} MOVE, *PMOVE;

static IO_ALLOCATION_ACTION AdapterControl(PDEVICE_OBJECT Device, PIRP Irp, PVOID Base, PVOID Context)
{
    PMOVE move = Context;

    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    move->Base = Base;
    move->Address = move->Adapter->DmaOperations->MapTransfer(move->Adapter, move->Mdl, Base,
                                                              MmGetMdlVirtualAddress(move->Mdl), &move->Length, TRUE);
    return DeallocateObjectKeepRegisters;
}

static VOID ListControl(PDEVICE_OBJECT Device, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{
    PMOVE move = Context;

    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    move->Elements = List->NumberOfElements;
    move->Length = List->Elements[0].Length;
    move->Address = List->Elements[0].Address;
    move->Adapter->DmaOperations->PutScatterGatherList(move->Adapter, List, TRUE);
}

static ULONG Transfer(WDFDEVICE Device, BOOLEAN ByList)
{
    MOVE move = {Adapter(Device, 2), NULL, NULL, 6000, 0, {{0}}};
    PVOID memory = ExAllocatePool2(POOL_FLAG_NON_PAGED, 6000, 'borp');
    KIRQL old;

    move.Mdl = IoAllocateMdl(memory, 6000, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(move.Mdl);
    ASSERT(MmGetSystemAddressForMdlSafe(move.Mdl, NormalPagePriority) == memory && MmGetMdlByteCount(move.Mdl) == 6000);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    if (ByList) {
        ULONG size, registers;

        ASSERT(NT_SUCCESS(move.Adapter->DmaOperations->CalculateScatterGatherList(move.Adapter, move.Mdl, memory, 6000,
                                                                                 &size, &registers)));
        ASSERT(registers == 2);
        move.Adapter->DmaOperations->GetScatterGatherList(move.Adapter, WdfDeviceWdmGetDeviceObject(Device), move.Mdl,
                                                          memory, 6000, ListControl, &move, TRUE);
    } else {
        move.Adapter->DmaOperations->AllocateAdapterChannel(move.Adapter, WdfDeviceWdmGetDeviceObject(Device), 2,
                                                            AdapterControl, &move);
        move.Adapter->DmaOperations->FlushAdapterBuffers(move.Adapter, move.Mdl, move.Base, memory, move.Length, TRUE);
        move.Adapter->DmaOperations->FreeMapRegisters(move.Adapter, move.Base, 2);
    }
    KeLowerIrql(old);
    IoFreeMdl(move.Mdl);
    ExFreePoolWithTag(memory, 'borp');
    move.Adapter->DmaOperations->PutDmaAdapter(move.Adapter);
    return move.Address.QuadPart != 0 ? move.Length : 0;
}

static ULONG OldBuffer(VOID)
{
    DEVICE_DESCRIPTION description = Describe(0);
    ULONG registers;
    PADAPTER_OBJECT adapter = HalGetAdapter(&description, &registers);
    PHYSICAL_ADDRESS address;
    PUCHAR memory = HalAllocateCommonBuffer(adapter, 100, &address, FALSE);

    RtlFillMemory(memory, 100, 7);
    HalFreeCommonBuffer(adapter, 100, address, memory, FALSE);
    return address.LowPart;
}

static BOOLEAN EvtProgram(WDFDMATRANSACTION Transaction, WDFDEVICE Device, WDFCONTEXT Context,
                          WDF_DMA_DIRECTION Direction, PSCATTER_GATHER_LIST List)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Direction);
    ASSERT(WdfDmaTransactionGetRequest(Transaction) == (WDFREQUEST)Context);
    DbgPrint("%u bytes", List->Elements[0].Length);
    return TRUE;
}

static VOID ByRequest(PPROBE Probe, WDFREQUEST Request, WDF_DMA_DIRECTION Direction, PFN_WDF_PROGRAM_DMA Program)
{
    WDFDMATRANSACTION transaction;
    NTSTATUS status, ignored;

    WdfDmaTransactionCreate(Probe->Enabler, WDF_NO_OBJECT_ATTRIBUTES, &transaction);
    status = WdfDmaTransactionInitializeUsingRequest(transaction, Request, Program, Direction);
    DbgPrint("%08x, request %d", status, WdfDmaTransactionGetRequest(transaction) == Request);
    if (NT_SUCCESS(status)) {
        WdfDmaTransactionExecute(transaction, Request);
        WdfDmaTransactionDmaCompleted(transaction, &ignored);
        WdfDmaTransactionRelease(transaction);
        ASSERT(WdfDmaTransactionGetRequest(transaction) == NULL);
    }
    WdfObjectDelete(transaction);
}

static VOID EvtReserve(WDFDMATRANSACTION Transaction, WDFCONTEXT Context)
{
    DbgPrint("reserved at %d", KeGetCurrentIrql());
    *(WDFDMATRANSACTION *)Context = Transaction;
}

static ULONG Reserve(WDFDEVICE Device, WDFREQUEST Request)
{
    WDF_DMA_ENABLER_CONFIG config;
    WDFDMAENABLER enabler;
    WDFDMATRANSACTION transaction, seen = NULL;
    PVOID first;

    WDF_DMA_ENABLER_CONFIG_INIT(&config, WdfDmaProfilePacket, 0x1000);
    config.WdmDmaVersionOverride = 3;
    ASSERT(NT_SUCCESS(WdfDmaEnablerCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &enabler)));
    WdfDmaTransactionCreate(enabler, WDF_NO_OBJECT_ATTRIBUTES, &transaction);
    WdfDmaTransactionInitializeUsingRequest(transaction, Request, EvtProgram, WdfDmaDirectionWriteToDevice);
    first = WdfDmaTransactionWdmGetTransferContext(transaction);
    ASSERT(first != NULL && first == WdfDmaTransactionWdmGetTransferContext(transaction));
    ASSERT(NT_SUCCESS(WdfDmaTransactionAllocateResources(transaction, WdfDmaDirectionWriteToDevice, 2, EvtReserve, &seen)));
    ASSERT(seen == transaction);
    WdfDmaTransactionFreeResources(transaction);
    WdfObjectDelete(transaction);
    WdfObjectDelete(enabler);
    return 1;
}

static ULONG Widths(PPROBE Probe)
{
    USHORT words[2] = {0x1234, 0x5678};
    UCHAR bytes[4];
    ULONG again;

    WRITE_REGISTER_BUFFER_USHORT((PUSHORT)(Probe->Registers + 0x20), words, 2);
    READ_REGISTER_BUFFER_UCHAR(Probe->Registers + 0x20, bytes, 4);
    WRITE_REGISTER_USHORT((PUSHORT)(Probe->Registers + 0x22), READ_REGISTER_USHORT((PUSHORT)(Probe->Registers + 0x20)));
    READ_REGISTER_BUFFER_ULONG((PULONG)(Probe->Registers + 0x20), &again, 1);
    ASSERT(bytes[3] == 0x56 && again == 0x12341234);
    return again;
}

static VOID EvtIoDeviceControl(WDFQUEUE Queue, WDFREQUEST Request, size_t Out, size_t In, ULONG Code)
{
    WDFDEVICE device = WdfIoQueueGetDevice(WdfRequestGetIoQueue(Request));
    PPROBE probe = Of(device);
    WDFCOMMONBUFFER buffer;
    KSPIN_LOCK spin;
    KIRQL old;
    PVOID memory = NULL;
    size_t length;
    ULONG answer = 0;

    UNREFERENCED_PARAMETER(Queue);
    UNREFERENCED_PARAMETER(Out);
    UNREFERENCED_PARAMETER(In);
    KeInitializeSpinLock(&spin);
    switch (Code) {
    case 1: *(volatile ULONG *)NULL = 1; break;
    case 2: *(volatile ULONG *)0x123456789000 = 1; break;
    case 3: ASSERT(Code == 0); break;
    case 4: KeRaiseIrql(DISPATCH_LEVEL, &old); break;
    case 5:
        WdfSpinLockAcquire(probe->Lock);
        WdfSpinLockAcquire(probe->Lock);
        break;
    case 6: WdfRequestComplete(Request, STATUS_SUCCESS); break;
    case 7: KeReleaseSpinLock(&spin, PASSIVE_LEVEL); break;
    case 8:
        while (READ_REGISTER_ULONG((PULONG)(probe->Registers + 4)) == 0)
            ;
        break;
    case 9: ExAllocatePoolWithTag(NonPagedPoolNx, 64, 'kael'); break;
    case 10: *(PULONG)(probe->Registers + 8) = 1; break;
    case 11: Adapter(device, 0)->DmaOperations->CalculateScatterGatherList(NULL, NULL, NULL, 0, NULL, NULL); break;
    case 12: answer = Transfer(device, FALSE); break;
    case 13: answer = Transfer(device, TRUE); break;
    case 14: answer = OldBuffer(); break;
    case 15: OtherOf(device)->Word = 1; break;
    case 16: answer = Widths(probe); break;
    case 17: WdfInterruptSynchronize(probe->Interrupt, EvtSynchronize, &answer); break;
    case 18:
        WdfCommonBufferCreate(probe->Enabler, 64, WDF_NO_OBJECT_ATTRIBUTES, &buffer);
        WdfObjectDelete(buffer);
        WdfCommonBufferGetAlignedVirtualAddress(buffer);
        break;
    case 19: WdfObjectDelete((WDFOBJECT)0x1234); break;
    case 20: MmGetMdlByteCount(IoAllocateMdl(probe, 10, FALSE, FALSE, NULL)); break;
    case 21: IoFreeMdl((PMDL)probe); break;
    case 22: READ_REGISTER_ULONG((PULONG)(probe->Registers + 0x200)); break;
    case 23:
        probe->Pending = Request;
        WRITE_REGISTER_ULONG((PULONG)(probe->Registers + 0x10), 1);
        return;
    case 24: return;
    case 25:
        if (NT_SUCCESS(WdfRequestRetrieveInputBuffer(Request, 1, &memory, &length)) &&
            WdfRequestRetrieveOutputBuffer(Request, 100, &memory, NULL) == STATUS_BUFFER_TOO_SMALL)
            for (answer = 0; answer < length; answer++)
                ((PUCHAR)memory)[answer] ^= 0x20;
        break;
    case 26: KeAcquireSpinLock(&spin, &old); answer = KeGetCurrentIrql(); KeReleaseSpinLock(&spin, old); break;
    case 27:
        WdfInterruptAcquireLock(probe->Interrupt);
        answer = KeGetCurrentIrql();
        WdfInterruptReleaseLock(probe->Interrupt);
        break;
    case 28:
        while (READ_REGISTER_ULONG((PULONG)(probe->Registers + 0xC)) < 3)
            KeStallExecutionProcessor(10);
        break;
    case 29: MmUnmapIoSpace(probe->Registers, 4); break;
    case 30:
        memory = ExAllocatePoolWithTag(NonPagedPoolNx, 64, 'eerf');
        ExFreePool(memory);
        ExFreePool(memory);
        break;
    case 31: WdfSpinLockRelease(probe->Lock); break;
    case 32: case 33: case 34: ByRequest(probe, Request, WdfDmaDirectionWriteToDevice, EvtProgram); break;
    case 36: case 37: case 38: ByRequest(probe, Request, WdfDmaDirectionReadFromDevice, EvtProgram); break;
    case 40: ByRequest(probe, Request, WdfDmaDirectionWriteToDevice, NULL); break;
    case 41: KeRaiseIrql(DISPATCH_LEVEL, &old); KeRaiseIrql(PASSIVE_LEVEL, &old); break;
    case 42: KeLowerIrql(DISPATCH_LEVEL); break;
    case 43: WdfInterruptSynchronize(probe->Interrupt, EvtTakesLock, probe); break;
    case 44: WdfInterruptAcquireLock(probe->Interrupt); WdfInterruptAcquireLock(probe->Interrupt); break;
    case 45: WdfInterruptSynchronize(probe->Interrupt, EvtTakesItsOwnLock, probe); break;
    case 46: KeAcquireSpinLock(&spin, &old); KeLowerIrql(old); KeReleaseSpinLock(&spin, old); break;
    case 47: KeAcquireSpinLock(&spin, &old); KeReleaseSpinLock(&spin, 3); break;
    case 48: KeRaiseIrql(3, &old); KeRaiseIrql(3, &old); KeLowerIrql(PASSIVE_LEVEL); break;
    case 52: answer = Reserve(device, Request); break;
    default: WdfRequestComplete(Request, STATUS_INVALID_DEVICE_REQUEST); return;
    }
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, answer);
}

static NTSTATUS EvtDeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    DECLARE_CONST_UNICODE_STRING(name, L"probe");
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_DMA_ENABLER_CONFIG config;
    WDF_INTERRUPT_CONFIG interrupt;
    WDF_IO_QUEUE_CONFIG queue;
    WDFDEVICE device;

    C_ASSERT(sizeof(ULONG) == 4 && sizeof(L"") == 2 && sizeof(PHYSICAL_ADDRESS) == 8);
    UNREFERENCED_PARAMETER(Driver);
    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&callbacks);
    callbacks.EvtDevicePrepareHardware = EvtPrepare;
    callbacks.EvtDeviceReleaseHardware = EvtRelease;
#ifdef POST_FAILS
    callbacks.EvtDeviceD0EntryPostInterruptsEnabled = EvtPost;
#endif
    WdfDeviceInitSetPnpPowerEventCallbacks(DeviceInit, &callbacks);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, PROBE);
    attributes.EvtCleanupCallback = EvtCleanup;
    if (!NT_SUCCESS(WdfDeviceCreate(&DeviceInit, &attributes, &device)) || DeviceInit != NULL)
        return STATUS_UNSUCCESSFUL;
    InitializeListHead(&Of(device)->List);
    ASSERT(IsListEmpty(&Of(device)->List) && name.Length == 10);
    WdfDeviceCreateDeviceInterface(device, &GUID_PROBE, NULL);
    WDF_INTERRUPT_CONFIG_INIT(&interrupt, EvtIsr, EvtDpc);
    interrupt.EvtInterruptEnable = EvtEnable;
    interrupt.EvtInterruptDisable = EvtDisable;
    WdfInterruptCreate(device, &interrupt, WDF_NO_OBJECT_ATTRIBUTES, &Of(device)->Interrupt);
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = device;
    WdfSpinLockCreate(&attributes, &Of(device)->Lock);
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&queue, WdfIoQueueDispatchSequential);
    queue.EvtIoDeviceControl = EvtIoDeviceControl;
    WdfIoQueueCreate(device, &queue, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    WDF_DMA_ENABLER_CONFIG_INIT(&config, WdfDmaProfilePacket, 0x1000);
    return WdfDmaEnablerCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &Of(device)->Enabler);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, EvtDeviceAdd);
    config.EvtDriverUnload = EvtUnload;
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
