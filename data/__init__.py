"""Values and readers: everything that comes from a file, before any model has looked at it."""
