"""One page that says it all, and needs nothing beside it."""
