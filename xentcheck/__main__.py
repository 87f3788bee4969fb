"""``python -m xentcheck`` is the ``xentcheck`` command."""

from xentcheck.cli import main

if __name__ == "__main__":
    main()
