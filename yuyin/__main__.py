"""`python -m yuyin`: the same as the `yuyin` command."""

from yuyin.cli import main

if __name__ == "__main__":
    main()
