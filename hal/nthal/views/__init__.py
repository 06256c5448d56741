# SPDX-License-Identifier: Apache-2.0
"""What is written for people: drawings of live machines, and the page that traces the contract."""
