/* SPDX-License-Identifier: Apache-2.0 */
/* The framework as nthal plays it. */
#include "nthal/framework.h"
#include "ntddk.h"
