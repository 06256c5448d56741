# SPDX-License-Identifier: Apache-2.0
"""The corpus of wrong drivers: each mistake made on purpose in real guests, and who was named for it, and where.

::

    corpus   what each switch of wrong.ko does, and what is to be said of it   (guest-tests/wrong/corpus.toml)
    boots    guests in which the switches are thrown, one load of the module each
    judge    what was said, held against what was to be said
    page     docs/blame.md
"""
