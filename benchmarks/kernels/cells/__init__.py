"""What is timed: by operation, the cells in the order of what they tell, each by name.

A cell makes its own data, times ours beside what it replaces, and returns its row.
"""
