"""Side-by-side timings: the same work from the same weights on the same data, in turn, in one run."""
