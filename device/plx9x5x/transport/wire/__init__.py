# SPDX-License-Identifier: Apache-2.0
"""vfio-user spoken here, without libvfio-user: codec, server and client."""
