# SPDX-License-Identifier: Apache-2.0
"""`python -m plx9x5x`."""

import sys

from plx9x5x.cli.start import main

sys.exit(main())
