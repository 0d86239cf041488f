"""One file per meaning of applying a primitive."""
