"""The documentation of the API as a page, without a request to any other host."""
