"""``python -m deepscreen``."""

from deepscreen.cli import main

if __name__ == "__main__":
    main()
