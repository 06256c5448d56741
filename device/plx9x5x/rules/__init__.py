# SPDX-License-Identifier: Apache-2.0
"""What counts as a mistake on this family of chips: events in, findings out. Rules are data, one room judges."""
