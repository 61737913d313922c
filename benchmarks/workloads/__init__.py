"""One file a workload, named as on the command line; each has a `WORKLOAD`."""
