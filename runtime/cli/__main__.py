"""`python -m runtime.cli` is `entrepot`."""

from __future__ import annotations

import sys

from runtime.cli.entry import main

sys.exit(main())
