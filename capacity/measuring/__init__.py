"""How long things take on the machine at hand: loads for a real server, and what they cost it."""
