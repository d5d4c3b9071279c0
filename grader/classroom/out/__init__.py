"""The gradebook in the forms of others: pure functions from a ClassReport to bytes, a module each."""
