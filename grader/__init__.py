"""Grade PyTorch models against architecture constraints."""
