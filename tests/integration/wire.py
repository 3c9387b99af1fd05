# SPDX-License-Identifier: LGPL-2.1-or-later
"""lib/wire.py by its name here: scripts outside of this tree take it from this folder."""
import sys

import lib.wire

sys.modules[__name__] = lib.wire
