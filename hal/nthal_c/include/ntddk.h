/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel as nthal plays it. `nthal_routines.h` is made of nthal/routines.h when a driver is built. */
#include "nthal/kernel.h"
#include "nthal/wdf_types.h"
#include "nthal_routines.h"
