"""What everything stands on: tensors, operations as records, dtypes, constraints on arguments, random keys."""
