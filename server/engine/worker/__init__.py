"""A process that owns the weights and the device; the server's own only serves."""
