"""When requests are sent, and what is in them."""
