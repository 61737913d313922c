"""One file a library: its side of each kind of work (`kinds.py`), as its users would write it."""
