"""``python -m scaler`` is the command ``scaler``."""

from scaler.cli.main import main

if __name__ == "__main__":
    main()
