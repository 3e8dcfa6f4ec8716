"""``python -m graphseq``: the command line."""

from graphseq.cli import main

if __name__ == "__main__":
    main()
