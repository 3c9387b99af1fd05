# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the Python tests share, on this machine (tests/integration) and in guests (tests/vm). Both
folders have a link to this one; tests/vm/run copies it into the guest. Nothing here needs more than
Python itself, or any code of the product."""
