"""The capacity plan: how many replicas a rate needs, found by simulating one of them."""
