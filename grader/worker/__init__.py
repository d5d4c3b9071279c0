"""The untrusted side: loads a submission and traces what its model computes."""
