# SPDX-License-Identifier: Apache-2.0
"""The host's side of a run: child processes, the device's server, cores, folders of logs, what a log betrays."""
