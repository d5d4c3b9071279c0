"""A whole class: what is handed in, an engine that grades it, a gradebook that remembers."""
