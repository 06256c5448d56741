/* SPDX-License-Identifier: Apache-2.0 */
/* No interface of another driver is modelled. */
