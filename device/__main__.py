# SPDX-License-Identifier: Apache-2.0
"""`python device serve ...`: the command line from a bare checkout, with nothing installed."""

import sys

from plx9x5x.cli.start import main

sys.exit(main())
