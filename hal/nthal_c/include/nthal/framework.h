/* SPDX-License-Identifier: Apache-2.0 */
/* What the framework's headers define beside types and routines: initializers, contexts of objects. */
#ifndef NTHAL_FRAMEWORK_H
#define NTHAL_FRAMEWORK_H
#include "kernel.h"
#include "wdf_types.h"

#define WDF_NO_OBJECT_ATTRIBUTES NULL
#define WDF_NO_HANDLE NULL
#define WDF_NO_CONTEXT NULL

#define NTHAL_INIT(S) (memset((S), 0, sizeof *(S)), (S)->Size = sizeof *(S))

FORCEINLINE void WDF_DRIVER_CONFIG_INIT(PWDF_DRIVER_CONFIG Config, PFN_WDF_DRIVER_DEVICE_ADD EvtDriverDeviceAdd)
{
    NTHAL_INIT(Config);
    Config->EvtDriverDeviceAdd = EvtDriverDeviceAdd;
}
FORCEINLINE void WDF_OBJECT_ATTRIBUTES_INIT(PWDF_OBJECT_ATTRIBUTES Attributes)
{
    NTHAL_INIT(Attributes);
    Attributes->ExecutionLevel = WdfExecutionLevelInheritFromParent;
    Attributes->SynchronizationScope = WdfSynchronizationScopeInheritFromParent;
}
FORCEINLINE void WDF_PNPPOWER_EVENT_CALLBACKS_INIT(PWDF_PNPPOWER_EVENT_CALLBACKS Callbacks) { NTHAL_INIT(Callbacks); }
FORCEINLINE void WDF_INTERRUPT_CONFIG_INIT(PWDF_INTERRUPT_CONFIG Configuration, PFN_WDF_INTERRUPT_ISR EvtInterruptIsr, PFN_WDF_INTERRUPT_DPC EvtInterruptDpc)
{
    NTHAL_INIT(Configuration);
    Configuration->ShareVector = WdfUseDefault;
    Configuration->EvtInterruptIsr = EvtInterruptIsr;
    Configuration->EvtInterruptDpc = EvtInterruptDpc;
}
FORCEINLINE void WDF_IO_QUEUE_CONFIG_INIT(PWDF_IO_QUEUE_CONFIG Config, WDF_IO_QUEUE_DISPATCH_TYPE DispatchType)
{
    NTHAL_INIT(Config);
    Config->DispatchType = DispatchType;
    Config->PowerManaged = WdfUseDefault;
}
FORCEINLINE void WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(PWDF_IO_QUEUE_CONFIG Config, WDF_IO_QUEUE_DISPATCH_TYPE DispatchType)
{
    WDF_IO_QUEUE_CONFIG_INIT(Config, DispatchType);
    Config->DefaultQueue = TRUE;
}
FORCEINLINE void WDF_REQUEST_PARAMETERS_INIT(PWDF_REQUEST_PARAMETERS Parameters) { NTHAL_INIT(Parameters); }
FORCEINLINE void WDF_DMA_ENABLER_CONFIG_INIT(PWDF_DMA_ENABLER_CONFIG Config, WDF_DMA_PROFILE Profile, size_t MaximumLength)
{
    NTHAL_INIT(Config);
    Config->Profile = Profile;
    Config->MaximumLength = MaximumLength;
}
FORCEINLINE void WDF_COMMON_BUFFER_CONFIG_INIT(PWDF_COMMON_BUFFER_CONFIG Config, ULONG AlignmentRequirement)
{
    NTHAL_INIT(Config);
    Config->AlignmentRequirement = AlignmentRequirement;
}

/* Power policy is taken, and nothing ever idles or wakes here. */
#define WDF_DEVICE_POWER_POLICY_IDLE_SETTINGS_INIT(S, C) (NTHAL_INIT(S), (S)->IdleCaps = (C))
#define WDF_DEVICE_POWER_POLICY_WAKE_SETTINGS_INIT(S) NTHAL_INIT(S)
#define WdfDeviceAssignS0IdleSettings(D, S) ((void)(D), (void)(S), STATUS_SUCCESS)
#define WdfDeviceAssignSxWakeSettings(D, S) ((void)(D), (void)(S), STATUS_SUCCESS)
#define WDF_REL_TIMEOUT_IN_MS(T) (-(LONGLONG)(T) * 10000)
#define WDF_REL_TIMEOUT_IN_US(T) (-(LONGLONG)(T) * 10)
#define WdfDeviceInitSetIoType(D, T) ((void)(D))
#define WdfDeviceCreateDeviceInterface(D, G, S) ((void)(D), STATUS_SUCCESS)
#define WdfDeviceWdmGetDeviceObject(D) WdfDeviceWdmGetPhysicalDevice(D)
#define WdfCmResourceListGetCount(L) ((L)->Count)
#define WdfCmResourceListGetDescriptor(L, I) ((I) < (L)->Count ? &(L)->Descriptors[I] : NULL)
#define WdfRequestComplete(R, S) (NTHAL_HERE, nthal_complete((R), (S)))

/* --- what a request brings or wants; an empty side is no valid one --- */
size_t nthal_request(WDFREQUEST Request, BOOLEAN Output, PVOID *Buffer, PMDL *Mdl);
void nthal_complete(WDFREQUEST Request, NTSTATUS Status);
static inline NTSTATUS nthal_retrieve(WDFREQUEST Request, BOOLEAN Output, size_t Minimum, PVOID *Buffer, PMDL *Mdl, size_t *Length)
{
    size_t length;

    if (Mdl == NULL)
        *(PVOID volatile *)Buffer = NULL; /* one of the two is due */
    length = nthal_request(Request, Output, Buffer, Mdl);
    if (Length != NULL)
        *Length = length;
    return length == 0 ? STATUS_INVALID_DEVICE_REQUEST : length < Minimum ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
}
#define WdfRequestRetrieveInputWdmMdl(R, M) (NTHAL_HERE, nthal_retrieve((R), FALSE, 0, NULL, (M), NULL))
#define WdfRequestRetrieveOutputWdmMdl(R, M) (NTHAL_HERE, nthal_retrieve((R), TRUE, 0, NULL, (M), NULL))
#define WdfRequestRetrieveInputBuffer(R, N, B, L) (NTHAL_HERE, nthal_retrieve((R), FALSE, (N), (PVOID *)(B), NULL, (L)))
#define WdfRequestRetrieveOutputBuffer(R, N, B, L) (NTHAL_HERE, nthal_retrieve((R), TRUE, (N), (PVOID *)(B), NULL, (L)))

extern PVOID WdfObjectGetTypedContextWorker(WDFOBJECT Handle, PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo);
#define WDF_GET_CONTEXT_TYPE_INFO(T) (&nthal_type_of_##T)
#define WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(T, Getter) \
    static const WDF_OBJECT_CONTEXT_TYPE_INFO nthal_type_of_##T __attribute__((unused)) = { \
        sizeof(WDF_OBJECT_CONTEXT_TYPE_INFO), #T, sizeof(T)}; \
    static inline T *Getter(WDFOBJECT Handle) \
    { \
        return (T *)WdfObjectGetTypedContextWorker(Handle, &nthal_type_of_##T); \
    }
#define WDF_DECLARE_CONTEXT_TYPE(T) WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(T, WdfObjectGet_##T)
#define WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(A, T) ((A)->ContextTypeInfo = WDF_GET_CONTEXT_TYPE_INFO(T))
#define WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(A, T) \
    (WDF_OBJECT_ATTRIBUTES_INIT(A), WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(A, T))
#define WdfObjectGetTypedContext(H, T) ((T *)WdfObjectGetTypedContextWorker((H), WDF_GET_CONTEXT_TYPE_INFO(T)))
#endif
