# SPDX-License-Identifier: Apache-2.0
"""The common-buffer DMA contract of Windows (AllocateCommonBuffer and its NT and KMDF forms) as an executable model.

The package is typed and importable on its own; its content arrives with the contract's own work.
"""
