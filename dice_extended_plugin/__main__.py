"""``python -m dice_extended_plugin`` is the ``dice-extended`` command."""

import sys

from dice_extended_plugin.cli import main

if __name__ == "__main__":
    sys.exit(main())
