"""One replica in simulated time: the server's own queue and policies, service times as measured."""
