# SPDX-License-Identifier: Apache-2.0
"""Who is killed at any instant, and what is left of it: raw clients, servers, QEMU."""
