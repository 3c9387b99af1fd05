# SPDX-License-Identifier: LGPL-2.1-or-later
"""lib/trail.py by its name here: scripts outside of this tree take it from this folder."""
import sys

import lib.trail

sys.modules[__name__] = lib.trail
