"""Students that nobody trained by themselves: which of them are worth having, found by asking them.

A TA that was trained with a few students inside it holds many more (MatFormer's Mix'n'Match,
2310.07707): other layers, other widths from layer to layer. `space` says which there are, `trials`
asks them, `evolution` chooses whom to ask next within the minutes there are, `stages` which of them
make a cascade together, and `run` does all that and measures what was found.
"""
