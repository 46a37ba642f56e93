"""`python -m workbench COMMAND`, or `lab COMMAND` for developers.

Exit code 0: done; 1: it failed; 2: the input is wrong. Errors are one line.
"""

import sys

from workbench.commands.line import main

if __name__ == "__main__":
    sys.exit(main())
