"""One file a library: its side of the kinds of work with whole networks (`network_kinds.py`), as its users would write
it.
"""
