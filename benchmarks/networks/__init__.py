"""One file a network, written down once as a function of named operations (`benchmarks/network.py`); each has a
`NETWORK`. Libraries with modules of their own build it as their users would; names of weights are PyTorch's.
"""
