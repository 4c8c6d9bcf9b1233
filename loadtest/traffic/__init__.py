"""When requests are sent, and what they are."""
