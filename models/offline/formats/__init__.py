"""Files that are read and written a block of rows at a time."""
