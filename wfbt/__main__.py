"""`python -m wfbt`."""

from wfbt.cli import main

if __name__ == "__main__":
    main()
