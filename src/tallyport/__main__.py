"""``python -m tallyport`` is the command ``tallyport``."""

from tallyport.cli.main import main

if __name__ == "__main__":
    main()
