"""The families of operations: what is derived from a short declaration. Used by the declarations in `ops/`."""
