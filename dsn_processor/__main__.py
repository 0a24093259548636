import sys

from dsn_processor.cli import main

sys.exit(main())
